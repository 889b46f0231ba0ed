#include "gate_set.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/options.h"
#include "coordinator/campaign/yaml_fields.h"

typedef struct {
    GateBounds bound[GATE_COUNT];
} SetFile;

#define BOUND(name, member)                                                                                            \
    {#name "." #member, YAML_NUMBER, .to = offsetof(SetFile, bound[GATE_##name].member),                               \
     .min = -1e6,       .max = 1e6,  .help = "a bound of the gate"},
#define AGAIN(name)                                                                                                    \
    {#name ".again",                                                                                                   \
     YAML_NUMBER,                                                                                                      \
     .to = offsetof(SetFile, bound[GATE_##name].again),                                                                \
     .min = 0,                                                                                                         \
     .max = GATE_MAX_AGAIN,                                                                                            \
     .fallback = "0",                                                                                                  \
     .help = "renders with another seed"},
#define BOUNDS(name, unit, about)                                                                                      \
    BOUND(name, hold) BOUND(name, fail) BOUND(name, hold_low) BOUND(name, fail_low) AGAIN(name)
static const YamlField schema[] = {GATES_LIST(BOUNDS)};
enum { KEY_COUNT = (int)(sizeof schema / sizeof *schema) };
#define NAME(name, unit, about) #name,
static const char *const name_of[] = {GATES_LIST(NAME)};

static void check_order(const GateBounds *b, int number, Place place, Faults *faults)
{
    const char *gate = name_of[number];
    if (b->again > 0 && !gate_is_of_shot(number))
        faults_add(faults, place, "%s: again %g, expected none: another seed does not change what finishing adds", gate,
                   b->again);
    if (gate_only_holds(number) && !(isnan(b->hold) && isnan(b->fail) && isnan(b->fail_low)))
        faults_add(faults, place, "%s: expected hold_low only, and again: other clips are finished by then", gate);
    if (b->fail < b->hold)
        faults_add(faults, place, "%s: fail %g is below hold %g, expected it at or above", gate, b->fail, b->hold);
    if (b->fail_low > b->hold_low)
        faults_add(faults, place, "%s: fail_low %g is above hold_low %g, expected it at or below", gate, b->fail_low,
                   b->hold_low);
}

static void take_entry(Yaml *y, int i, const char *file, Faults *faults, GateSetList *out)
{
    SetFile f;
    int line[KEY_COUNT];
    for (int k = 0; k < GATE_COUNT; k++) f.bound[k] = (GateBounds){NAN, NAN, NAN, NAN, 0};
    const char *name = yaml_read_entry(y, i, schema, KEY_COUNT, &f, line);
    if (!name) return;
    const Place place = {file, 0, name};
    for (int k = 0; k < GATE_COUNT; k++) check_order(&f.bound[k], k, place, faults);
    if (strlen(name) >= sizeof out->set[0].name) {
        faults_add(faults, place, "a name of %zu bytes, expected at most %zu", strlen(name),
                   sizeof out->set[0].name - 1);
    } else if (out->count == GATE_SET_MAX) {
        faults_add(faults, place, "more than %d sets", GATE_SET_MAX);
    } else {
        snprintf(out->set[out->count].name, sizeof out->set[0].name, "%s", name);
        memcpy(out->set[out->count].bound, f.bound, sizeof f.bound);
        out->count++;
    }
}

void gate_set_list_parse(const char *file, const char *text, size_t bytes, Faults *faults, GateSetList *out)
{
    *out = (GateSetList){0};
    Yaml *y = yaml_open(file, text, bytes, faults);
    for (int i = 0; y && i < yaml_entry_count(y); i++) take_entry(y, i, file, faults, out);
    yaml_close(&y);
}

const GateSetList *gate_set_list(void)
{
    static GateSetList list;
    if (list.count == 0) {
        Faults *faults = faults_new();
        gate_set_list_parse("configs/gates.yaml", gate_set_text, gate_set_text_bytes, faults, &list);
        if (faults_count(faults)) abort(); /* a unit test reads the same file and says what is wrong with it */
        faults_free(&faults);
    }
    return &list;
}

static json_t *bounds_json(const GateBounds *b)
{
    const struct {
        const char *key;
        double value;
    } part[] = {{"hold", b->hold}, {"fail", b->fail}, {"hold_low", b->hold_low}, {"fail_low", b->fail_low}};
    json_t *j = json_object();
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (!isnan(part[i].value)) json_object_set_new(j, part[i].key, json_real(part[i].value));
    if (b->again > 0) json_object_set_new(j, "again", json_integer((json_int_t)b->again));
    return j;
}

static Status unknown_set(const GateSetList *list, const char *name)
{
    const char *known[GATE_SET_MAX];
    char all[512] = "";
    for (int i = 0; i < list->count; i++) {
        const size_t n = strlen(all);
        known[i] = list->set[i].name;
        snprintf(all + n, sizeof all - n, "%s%s", n ? ", " : "", known[i]);
    }
    const char *near = options_nearest(name, known, list->count);
    if (near)
        return status_fail(ERR_INPUT, "no set of gates %s; did you mean %s? There are %s", quoted(name).text, near,
                           all);
    return status_fail(ERR_INPUT, "no set of gates %s; there are %s", quoted(name).text, all);
}

Status gate_set_json(const GateSetList *list, const char *name, char **out)
{
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->set[i].name, name) != 0) continue;
        json_t *j = json_object();
        for (int k = 0; k < GATE_COUNT; k++) {
            json_t *one = bounds_json(&list->set[i].bound[k]);
            if (json_object_size(one))
                json_object_set_new(j, name_of[k], one);
            else
                json_decref(one);
        }
        *out = json_dumps(j, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(12));
        json_decref(j);
        return status_ok();
    }
    return unknown_set(list, name);
}
