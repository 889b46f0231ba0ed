#include "styles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"
#include "coordinator/campaign/yaml_fields.h"

typedef struct {
    char *font, *color, *outline, *box;
    double size, outline_width, shadow, least;
    int max_lines;
    bool bold;
} StyleFile;

#define TO(member) .to = offsetof(StyleFile, member)

static const YamlField schema[] = {
    {"font", YAML_TEXT, TO(font), .fallback = "Noto Sans", .help = "a family that is installed"},
    {"size", YAML_NUMBER, TO(size), .min = 0.005, .max = 1, .fallback = "0.07", .help = "share of the shorter side"},
    {"bold", YAML_SWITCH, TO(bold), .fallback = "false", .help = "heavier letters"},
    {"color", YAML_TEXT, TO(color), .fallback = "#FFFFFF", .help = "of the letters"},
    {"outline", YAML_TEXT, TO(outline), .fallback = "#000000", .help = "colour of their edge"},
    {"outline_width", YAML_NUMBER, TO(outline_width), .min = 0, .max = 0.1, .fallback = "0.004",
     .help = "share of the shorter side"},
    {"shadow", YAML_NUMBER, TO(shadow), .min = 0, .max = 0.1, .fallback = "0", .help = "share of the shorter side"},
    {"box", YAML_TEXT, TO(box), .fallback = "auto", .help = "none, auto or a colour"},
    {"max_lines", YAML_INTEGER, TO(max_lines), .min = 0, .max = 20, .fallback = "2",
     .help = "lines, 0: as many as there is room for"},
    {"least", YAML_NUMBER, TO(least), .min = 0.1, .max = 1, .fallback = "0.5",
     .help = "share of its size to which a long text shrinks"},
};
enum { KEY_COUNT = (int)(sizeof schema / sizeof *schema) };

static bool is_color(const char *text)
{
    size_t n = strlen(text);
    return text[0] == '#' && (n == 7 || n == 9) && strspn(text + 1, "0123456789abcdefABCDEF") == n - 1;
}

static void check_color(const char *key, const char *text, Place place, Faults *faults)
{
    if (!text || is_color(text)) return;
    if (strcmp(key, "box") == 0 && (strcmp(text, "none") == 0 || strcmp(text, "auto") == 0)) return;
    faults_add(faults, place, "%s %s, expected \"#RRGGBB\" or \"#RRGGBBAA\"%s", key, quoted(text).text,
               strcmp(key, "box") == 0 ? ", none or auto" : "");
}

static void take_entry(Yaml *y, int i, const char *file, Faults *faults, Styles *out)
{
    StyleFile f = {0};
    int line[KEY_COUNT];
    const char *name = yaml_read_entry(y, i, schema, KEY_COUNT, &f, line);
    Place place = {file, 0, name};
    if (name && (strlen(name) >= sizeof out->entry[0].name || out->count == STYLES_MAX))
        faults_add(faults, place, "expected at most %d styles with names of at most %zu bytes", STYLES_MAX,
                   sizeof out->entry[0].name - 1);
    else if (name) {
        check_color("color", f.color, place, faults);
        check_color("outline", f.outline, place, faults);
        check_color("box", f.box, place, faults);
        if (f.font && strpbrk(f.font, ",\n"))
            faults_add(faults, place, "font %s, expected one family", quoted(f.font).text);
        snprintf(out->entry[out->count].name, sizeof out->entry[0].name, "%s", name);
        out->entry[out->count++].style =
            json_pack("{s:s*,s:f,s:b,s:s*,s:s*,s:f,s:f,s:s*,s:i,s:f}", "font", f.font, "size", f.size, "bold", f.bold,
                      "color", f.color, "outline", f.outline, "outline_width", f.outline_width, "shadow", f.shadow,
                      "box", f.box, "max_lines", f.max_lines, "least", f.least);
    }
    free(f.font);
    free(f.color);
    free(f.outline);
    free(f.box);
}

void styles_parse(const char *file, const char *text, size_t bytes, Faults *faults, Styles *out)
{
    Yaml *y = yaml_open(file, text, bytes, faults);
    for (int i = 0; y && i < yaml_entry_count(y); i++) take_entry(y, i, file, faults, out);
    yaml_close(&y);
}

void styles_own(Styles *out)
{
    Faults *faults = faults_new();
    styles_parse("configs/styles.yaml", styles_text, styles_text_bytes, faults, out);
    if (faults_count(faults)) abort(); /* a unit test reads the same file and says what is wrong with it */
    faults_free(&faults);
}

const json_t *styles_find(const Styles *s, const char *name, Place place, Faults *faults)
{
    const char *known[STYLES_MAX];
    for (int i = 0; i < s->count; i++) {
        known[i] = s->entry[i].name;
        if (strcmp(s->entry[i].name, name) == 0) return s->entry[i].style;
    }
    const char *near = options_nearest(name, known, s->count);
    faults_add(faults, place, "no style %s%s%s%s; configs/styles.yaml lists them, `styles` names a file of your own",
               quoted(name).text, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return NULL;
}

void styles_clear(Styles *s)
{
    for (int i = 0; i < s->count; i++) json_decref(s->entry[i].style);
    s->count = 0;
}
