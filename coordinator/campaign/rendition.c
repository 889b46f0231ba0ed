#include "rendition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/options.h"
#include "coordinator/campaign/yaml_fields.h"

typedef struct {
    int size[2], crf, max_kbps, fps, min_fps, max_fps;
    char preset[YAML_CHOICE_BYTES], kind[YAML_CHOICE_BYTES], codec[YAML_CHOICE_BYTES], fit[YAML_CHOICE_BYTES],
        convert[YAML_CHOICE_BYTES], sound[YAML_CHOICE_BYTES];
    char *color;
    double lufs, true_peak_db, safe_top, safe_right, safe_bottom, safe_left, min_s, max_s, max_mb;
} RenditionFile;

#define TO(member) .to = offsetof(RenditionFile, member)

static const YamlField schema[] = {
    {"size", YAML_SIZE, TO(size), .min = 16, .max = 8192, .unit = "pixels", .help = "the size of the file's picture"},
    {"kind", YAML_CHOICE, TO(kind), .words = "video|poster|gif", .fallback = "video", .help = "what is made"},
    {"codec", YAML_CHOICE, TO(codec), .words = "h264|h265|av1|vp9", .fallback = "h264", .help = "how it is coded"},
    {"crf", YAML_INTEGER, TO(crf), .min = 0, .max = 63, .fallback = "18", .help = "the codec's constant rate factor"},
    {"preset", YAML_CHOICE, TO(preset), .words = "ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow",
     .fallback = "veryfast", .help = "x264's preset"},
    {"max_kbps", YAML_INTEGER, TO(max_kbps), .min = 0, .max = 1000000, .fallback = "0", .unit = "kbit/s",
     .help = "the largest rate"},
    {"fit", YAML_CHOICE, TO(fit), .words = "pad|blur|crop|follow", .fallback = "pad",
     .help = "what becomes of another aspect"},
    {"color", YAML_TEXT, TO(color), .help = "the colour beside the picture"},
    {"fps", YAML_INTEGER, TO(fps), .min = 0, .max = 120, .fallback = "0", .unit = "frames per second",
     .help = "the file's rate"},
    {"min_fps", YAML_INTEGER, TO(min_fps), .min = 0, .max = 120, .fallback = "0",
     .help = "the lowest rate that is kept"},
    {"max_fps", YAML_INTEGER, TO(max_fps), .min = 0, .max = 240, .fallback = "0",
     .help = "the highest rate that is kept"},
    {"convert", YAML_CHOICE, TO(convert), .words = "motion|blend|repeat", .fallback = "motion",
     .help = "how the rate is changed"},
    {"sound", YAML_CHOICE, TO(sound), .words = "auto|always|none", .fallback = "auto",
     .help = "whether there is a sound track"},
    {"lufs", YAML_NUMBER, TO(lufs), .min = -40, .max = -5, .fallback = "-14", .unit = "LUFS", .help = "how loud it is"},
    {"true_peak_db", YAML_NUMBER, TO(true_peak_db), .min = -20, .max = -0.1, .fallback = "-1.5", .unit = "dBTP",
     .help = "its peaks"},
    {"safe.top", YAML_NUMBER, TO(safe_top), .min = 0, .max = 45, .fallback = "3", .unit = "per cent",
     .help = "covered by the platform"},
    {"safe.right", YAML_NUMBER, TO(safe_right), .min = 0, .max = 45, .fallback = "3", .unit = "per cent",
     .help = "covered by the platform"},
    {"safe.bottom", YAML_NUMBER, TO(safe_bottom), .min = 0, .max = 45, .fallback = "3", .unit = "per cent",
     .help = "covered by the platform"},
    {"safe.left", YAML_NUMBER, TO(safe_left), .min = 0, .max = 45, .fallback = "3", .unit = "per cent",
     .help = "covered by the platform"},
    {"min_s", YAML_NUMBER, TO(min_s), .min = 0, .max = 3600, .fallback = "0", .unit = "seconds",
     .help = "the shortest clip"},
    {"max_s", YAML_NUMBER, TO(max_s), .min = 0, .max = 86400, .fallback = "0", .unit = "seconds",
     .help = "the longest clip"},
    {"max_mb", YAML_NUMBER, TO(max_mb), .min = 0, .max = 100000, .fallback = "0", .unit = "MB",
     .help = "the largest file"},
};
enum { KEY_COUNT = (int)(sizeof schema / sizeof *schema) };

/* A rendition's name becomes a part of file names: STEM.NAME.mp4. */
static bool is_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n < sizeof(((Rendition *)0)->name) && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n &&
           strcmp(name, "sheet") != 0;
}

static void set_rendition(const char *name, const RenditionFile *f, Rendition *r)
{
    *r = (Rendition){.width = f->size[0],
                     .height = f->size[1],
                     .crf = f->crf,
                     .max_kbps = f->max_kbps,
                     .fps = f->fps,
                     .min_fps = f->min_fps,
                     .max_fps = f->max_fps,
                     .lufs = f->lufs,
                     .true_peak_db = f->true_peak_db,
                     .safe_top = f->safe_top,
                     .safe_right = f->safe_right,
                     .safe_bottom = f->safe_bottom,
                     .safe_left = f->safe_left,
                     .min_s = f->min_s,
                     .max_s = f->max_s,
                     .max_mb = f->max_mb};
    snprintf(r->name, sizeof r->name, "%s", name);
    snprintf(r->preset, sizeof r->preset, "%s", f->preset);
    snprintf(r->kind, sizeof r->kind, "%s", f->kind);
    snprintf(r->codec, sizeof r->codec, "%s", f->codec);
    snprintf(r->fit, sizeof r->fit, "%s", f->fit);
    snprintf(r->color, sizeof r->color, "%s", f->color ? f->color : "#000000");
    snprintf(r->convert, sizeof r->convert, "%s", f->convert);
    snprintf(r->sound, sizeof r->sound, "%s", f->sound);
}

static bool is_color(const char *text)
{
    return !text || (strlen(text) == 7 && text[0] == '#' && strspn(text + 1, "0123456789abcdefABCDEF") == 6);
}

static void take_entry(Yaml *y, int i, const char *file, Faults *faults, RenditionList *out)
{
    RenditionFile f = {0};
    int line[KEY_COUNT];
    const char *name = yaml_read_entry(y, i, schema, KEY_COUNT, &f, line);
    if (!name) return;
    Place place = {file, 0, name};
    if (!is_name(name))
        faults_add(faults, place, "no name for a rendition; expected 1 to %zu of a-z, 0-9, - and _, and not \"sheet\"",
                   sizeof(((Rendition *)0)->name) - 1);
    else if (f.size[0] % 2 || f.size[1] % 2)
        faults_add(faults, place, "size %dx%d, expected even numbers: the colours have half the resolution", f.size[0],
                   f.size[1]);
    else if (f.crf > 51 && f.codec[0] == 'h')
        faults_add(faults, place, "crf %d, expected 0 to 51 for %s", f.crf, f.codec);
    else if (f.min_fps > f.max_fps || (f.max_fps && !f.fps))
        faults_add(faults, place, "min_fps %d and max_fps %d, expected a range, and fps for what is outside of it",
                   f.min_fps, f.max_fps);
    else if (!is_color(f.color))
        faults_add(faults, place, "color %s, expected \"#RRGGBB\"", quoted(f.color).text);
    else if (out->count == RENDITION_MAX_KNOWN)
        faults_add(faults, place, "more than %d renditions", RENDITION_MAX_KNOWN);
    else {
        for (int k = 0; k < out->count; k++)
            if (strcmp(out->rendition[k].name, name) == 0) faults_add(faults, place, "given a second time");
        set_rendition(name, &f, &out->rendition[out->count++]);
    }
    free(f.color);
}

void rendition_list_parse(const char *file, const char *text, size_t bytes, Faults *faults, RenditionList *out)
{
    *out = (RenditionList){0};
    Yaml *y = yaml_open(file, text, bytes, faults);
    for (int i = 0; y && i < yaml_entry_count(y); i++) take_entry(y, i, file, faults, out);
    yaml_close(&y);
}

const RenditionList *rendition_list(void)
{
    static RenditionList list;
    if (list.count == 0) {
        Faults *faults = faults_new();
        rendition_list_parse("configs/renditions.yaml", rendition_text, rendition_text_bytes, faults, &list);
        if (faults_count(faults)) abort(); /* a unit test reads the same file and says what is wrong with it */
        faults_free(&faults);
    }
    return &list;
}

static void unknown_rendition(const char *name, const RenditionList *list, Place place, Faults *faults)
{
    const char *known[RENDITION_MAX_KNOWN];
    char all[256] = "";
    for (int i = 0; i < list->count; i++) {
        size_t n = strlen(all);
        known[i] = list->rendition[i].name;
        snprintf(all + n, sizeof all - n, "%s%s", n ? ", " : "", known[i]);
    }
    const char *near = options_nearest(name, known, list->count);
    if (near)
        faults_add(faults, place, "no rendition %s; did you mean %s? There are %s", quoted(name).text, near, all);
    else
        faults_add(faults, place, "no rendition %s; there are %s", quoted(name).text, all);
}

bool rendition_find(const char *name, int width, int height, Place place, Faults *faults, Rendition *out)
{
    const RenditionList *list = rendition_list();
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->rendition[i].name, name) != 0) continue;
        *out = list->rendition[i];
        if (out->width == 0) {
            out->width = width;
            out->height = height;
        }
        return true;
    }
    unknown_rendition(name, list, place, faults);
    return false;
}

double rendition_enlargement(const Rendition *r, int width, int height)
{
    if (width < 1 || height < 1) return 1;
    const double x = (double)r->width / width, y = (double)r->height / height;
    return x < y ? x : y;
}

double rendition_black(const Rendition *r, int width, int height)
{
    if (width < 1 || height < 1 || r->width < 1 || r->height < 1) return 0;
    if (*r->fit && strcmp(r->fit, "pad") != 0) return 0; /* the render fills it */
    const double aspect = ((double)width / height) / ((double)r->width / r->height),
                 part = aspect < 1 ? aspect : 1 / aspect;
    return part >= 0.98 ? 0 : 1 - part;
}
