#include "rendition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/options.h"
#include "coordinator/campaign/yaml_fields.h"

typedef struct {
    int size[2], crf, max_kbps;
    char preset[YAML_CHOICE_BYTES];
} RenditionFile;

#define TO(member) .to = offsetof(RenditionFile, member)

static const YamlField schema[] = {
    {"size", YAML_SIZE, TO(size), .min = 16, .max = 8192, .unit = "pixels", .help = "the size of the file's picture"},
    {"crf", YAML_INTEGER, TO(crf), .min = 0, .max = 51, .required = true, .help = "x264's constant rate factor"},
    {"preset", YAML_CHOICE, TO(preset), .words = "ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow",
     .required = true, .help = "x264's preset"},
    {"max_kbps", YAML_INTEGER, TO(max_kbps), .min = 0, .max = 1000000, .fallback = "0", .unit = "kbit/s",
     .help = "the largest rate"},
};
enum { KEY_COUNT = (int)(sizeof schema / sizeof *schema) };

/* A rendition's name becomes a part of file names: STEM.NAME.mp4. */
static bool is_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n < sizeof(((Rendition *)0)->name) && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n &&
           strcmp(name, "sheet") != 0;
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
    else if (out->count == RENDITION_MAX_KNOWN)
        faults_add(faults, place, "more than %d renditions", RENDITION_MAX_KNOWN);
    else {
        for (int k = 0; k < out->count; k++)
            if (strcmp(out->rendition[k].name, name) == 0) faults_add(faults, place, "given a second time");
        Rendition *r = &out->rendition[out->count++];
        *r = (Rendition){.width = f.size[0], .height = f.size[1], .crf = f.crf, .max_kbps = f.max_kbps};
        snprintf(r->name, sizeof r->name, "%s", name);
        snprintf(r->preset, sizeof r->preset, "%s", f.preset);
    }
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
