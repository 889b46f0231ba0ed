#include "yaml_fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/options.h"
#include "coordinator/campaign/yaml_file.h"
#include "coordinator/campaign/yaml_values.h"

typedef struct { /* what a table of fields is read into */
    Yaml *yaml;
    const YamlField *field;
    int count;
    char *to;
    int *line;
    const char *entry; /* name of the table for messages, or "" */
} Target;

/* ---- values ---- */

static Place place_of(const Target *t, int line, const char *name, char *room, size_t bytes)
{
    snprintf(room, bytes, "%s%s%s", t->entry, *t->entry ? "." : "", name);
    return (Place){t->yaml->file, line, room};
}

static void refuse(const Target *t, int index, int line, const yaml_node_t *node)
{
    const YamlField *f = &t->field[index];
    char name[128], expected[128];
    yaml_describe_expected(f, expected, sizeof expected);
    bool braces = f->type == YAML_TEXT && node->type == YAML_MAPPING_NODE;
    faults_add(t->yaml->faults, place_of(t, line, f->name, name, sizeof name), "%s, expected %s%s",
               yaml_describe(node).text, expected, braces ? "; put a text that begins with {{ into quotes" : "");
    t->line[index] = -abs(t->line[index]);
}

static void read_words(const Target *t, int index, const yaml_node_t *node, YamlWords *to)
{
    ptrdiff_t count = node->data.sequence.items.top - node->data.sequence.items.start;
    if (count < 1 || count > YAML_MAX_WORDS) {
        refuse(t, index, t->line[index], node);
        return;
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        const yaml_node_t *item = yaml_node_at(t->yaml, node->data.sequence.items.start[i]);
        if (!yaml_is_text(item) || yaml_is_null(item)) {
            refuse(t, index, yaml_line_of(item), item);
            continue;
        }
        to->line[to->count] = yaml_line_of(item);
        to->word[to->count++] = text_copy(yaml_text_of(item));
    }
}

static void read_tables(const Target *t, int index, const yaml_node_t *node);

static void read_pairs(const Target *t, int index, const yaml_node_t *node, YamlPairs *to)
{
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *group = yaml_node_at(t->yaml, p->key), *table = yaml_node_at(t->yaml, p->value);
        const bool good = yaml_is_text(group) && table->type == YAML_MAPPING_NODE &&
                          table->data.mapping.pairs.top > table->data.mapping.pairs.start;
        if (!good) refuse(t, index, yaml_line_of(group), table);
        for (yaml_node_pair_t *q = good ? table->data.mapping.pairs.start : NULL;
             q && q < table->data.mapping.pairs.top; q++) {
            const yaml_node_t *name = yaml_node_at(t->yaml, q->key), *value = yaml_node_at(t->yaml, q->value);
            if (!yaml_is_text(name) || !yaml_is_text(value) || yaml_is_null(value) || to->count == YAML_MAX_TABLES) {
                refuse(t, index, yaml_line_of(name), value);
                continue;
            }
            to->item = memory_resize(to->item, (size_t)to->count + 1, sizeof *to->item);
            to->item[to->count++] = (YamlPair){yaml_line_of(name), text_copy(yaml_text_of(group)),
                                               text_copy(yaml_text_of(name)), text_copy(yaml_text_of(value))};
        }
    }
}

/* The text behind the end of a value, in its line; libyaml counts characters. */
static const char *behind(const Yaml *y, yaml_mark_t end, size_t *bytes)
{
    const char *p = y->text, *limit = y->text + y->bytes;
    for (size_t line = 0; line < end.line && p < limit; line += *p++ == '\n') continue;
    for (size_t column = 0; column < end.column && p < limit; column++) {
        uint32_t letter;
        const size_t n = foreign_letter(p, (size_t)(limit - p), &letter);
        p += n ? n : 1;
    }
    const char *line_end = p < limit ? memchr(p, '\n', (size_t)(limit - p)) : NULL;
    *bytes = (size_t)((line_end ? line_end : limit) - p);
    return p;
}

/* A text without quotes ends at " #", and what follows is a comment. Somebody who writes "the #1 dad, {{name}}" does not mean one. */
static void warn_of_comment(const Target *t, const YamlField *f, const yaml_node_t *node, Place place)
{
    size_t bytes, at = 0;
    const char *rest = behind(t->yaml, node->end_mark, &bytes);
    while (at < bytes && (rest[at] == ' ' || rest[at] == '\t')) at++;
    if (f->type != YAML_TEXT || !yaml_is_plain(node) || at == 0 || at == bytes || rest[at] != '#') return;
    const bool prompt = strcmp(f->name, "prompt") == 0 || strcmp(f->name, "negative") == 0;
    const bool meant = at + 1 == bytes || strchr(" \t#!-=", rest[at + 1]);
    if (meant && !prompt && !memmem(rest + at, bytes - at, "{{", 2)) return;
    char *comment = text_format("%.*s", (int)(bytes - at < 1000 ? bytes - at : 1000), rest + at);
    place.line = (int)node->end_mark.line + 1;
    faults_warn(t->yaml->faults, place, "",
                "the text ends before %s, which is a comment; put the text into quotes if it is none",
                quoted(comment).text);
    free(comment);
}

static void take_value(const Target *t, int index, const yaml_node_t *key, const yaml_node_t *node)
{
    const YamlField *f = &t->field[index];
    char name[128];
    Place place = place_of(t, yaml_line_of(key), f->name, name, sizeof name);
    if (t->line[index]) {
        faults_add(t->yaml->faults, place, "given a second time (first in line %d)", abs(t->line[index]));
        return;
    }
    t->line[index] = yaml_line_of(key);
    if (f->type == YAML_WORDS && node->type == YAML_SEQUENCE_NODE) {
        read_words(t, index, node, (YamlWords *)(void *)(t->to + f->to));
    } else if (f->type == YAML_PAIRS && node->type == YAML_MAPPING_NODE) {
        read_pairs(t, index, node, (YamlPairs *)(void *)(t->to + f->to));
    } else if (f->type == YAML_TABLES && node->type == YAML_SEQUENCE_NODE) {
        read_tables(t, index, node);
    } else if (!yaml_is_text(node) || yaml_is_null(node) ||
               !yaml_read_value(f, yaml_text_of(node), !yaml_is_plain(node), t->to + f->to)) {
        refuse(t, index, yaml_line_of(key), node);
    } else {
        warn_of_comment(t, f, node, place);
    }
}

/* ---- tables ---- */

static int find_field(const Target *t, const char *name)
{
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->field[i].name, name) == 0) return i;
    return -1;
}

/* "checkpoint" of "checkpoint.every". *or_none: "none" is a value for the whole. */
static bool is_group(const Target *t, const char *name, bool *or_none)
{
    size_t n = strlen(name);
    bool found = false;
    *or_none = true;
    for (int i = 0; i < t->count; i++) {
        if (strncmp(t->field[i].name, name, n) != 0 || t->field[i].name[n] != '.') continue;
        found = true;
        *or_none = *or_none && t->field[i].group_none;
    }
    return found;
}

static int dots_in(const char *name)
{
    int dots = 0;
    for (; *name; name++) dots += *name == '.';
    return dots;
}

/* What of a field's name stands where `like` does: "gates.blur" of "gates.blur.hold", like "gates.blurr"; free() it. */
static char *as_deep(const char *name, const char *like)
{
    char *cut = text_copy(name);
    int dots = dots_in(like);
    char *end = cut;
    while ((end = strchr(end, '.')) && dots-- > 0) end++;
    if (end) *end = 0;
    return cut;
}

static void unknown_key(const Target *t, const char *name, int line)
{
    char **list = memory_get((size_t)t->count, sizeof *list);
    for (int i = 0; i < t->count; i++) list[i] = as_deep(t->field[i].name, name);
    const char *near = options_nearest(name, (const char *const *)list, t->count);
    char room[128];
    Place place = place_of(t, line, name, room, sizeof room);
    if (near)
        faults_add(t->yaml->faults, place, "unknown key; did you mean %s?", near);
    else
        faults_add(t->yaml->faults, place, "unknown key");
    for (int i = 0; i < t->count; i++) free(list[i]);
    free(list);
}

static void read_table(const Target *t, const yaml_node_t *table, const char *prefix);

static void read_group(const Target *t, const char *name, const yaml_node_t *node, bool or_none)
{
    if (node->type == YAML_MAPPING_NODE) {
        char *prefix = text_format("%s.", name);
        read_table(t, node, prefix);
        free(prefix);
    } else if (!or_none || !yaml_is_text(node) || strcmp(yaml_text_of(node), "none") != 0) {
        char room[128];
        faults_add(t->yaml->faults, place_of(t, yaml_line_of(node), name, room, sizeof room), "%s, expected %s",
                   yaml_describe(node).text, or_none ? "none, or a table of keys" : "a table of keys, {key: value}");
    }
}

static void read_table(const Target *t, const yaml_node_t *table, const char *prefix)
{
    for (yaml_node_pair_t *p = table->data.mapping.pairs.start; p < table->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_node_at(t->yaml, p->key), *value = yaml_node_at(t->yaml, p->value);
        if (!yaml_is_text(key)) {
            faults_add(t->yaml->faults, (Place){t->yaml->file, yaml_line_of(key), NULL}, "%s as a key, expected a name",
                       yaml_describe(key).text);
            continue;
        }
        char *name = text_format("%s%s", prefix, yaml_text_of(key));
        int index = find_field(t, name);
        bool or_none;
        /* a name may be both: `gates: brand` the value, `gates: {set: brand}` the group */
        const bool group = is_group(t, name, &or_none);
        if (index >= 0 && !(group && value->type == YAML_MAPPING_NODE))
            take_value(t, index, key, value);
        else if (group)
            read_group(t, name, value, or_none);
        else
            unknown_key(t, name, yaml_line_of(key));
        free(name);
    }
}

static void finish_table(const Target *t, int line)
{
    for (int i = 0; i < t->count; i++) {
        const YamlField *f = &t->field[i];
        if (t->line[i]) continue;
        char name[128];
        if (f->required)
            faults_add(t->yaml->faults, place_of(t, line, f->name, name, sizeof name), "missing; expected %s", f->help);
        else if (f->fallback && !yaml_read_value(f, f->fallback, false, t->to + f->to))
            abort(); /* a default that its own row refuses */
    }
}

/* Each item of the list is a table of its own. An empty list is no table. */
static void read_tables(const Target *t, int index, const yaml_node_t *node)
{
    const YamlField *f = &t->field[index];
    const ptrdiff_t count = node->data.sequence.items.top - node->data.sequence.items.start;
    YamlTables *to = (YamlTables *)(void *)(t->to + f->to);
    if (count > YAML_MAX_TABLES) {
        refuse(t, index, t->line[index], node);
        return;
    }
    to->item = memory_get((size_t)count + 1, f->item_bytes);
    for (ptrdiff_t i = 0; i < count; i++) {
        const yaml_node_t *item = yaml_node_at(t->yaml, node->data.sequence.items.start[i]);
        char *into = (char *)to->item + (size_t)to->count * f->item_bytes;
        int line[YAML_MAX_ITEM_KEYS] = {0};
        if (item->type != YAML_MAPPING_NODE) {
            refuse(t, index, yaml_line_of(item), item);
            continue;
        }
        Target one = {t->yaml, f->item, f->item_count, into, line, f->name};
        *(int *)(void *)into = yaml_line_of(item);
        to->count++;
        read_table(&one, item, "");
        finish_table(&one, yaml_line_of(item));
    }
}

static void free_words(YamlWords *w)
{
    for (int i = 0; i < w->count; i++) free(w->word[i]);
    *w = (YamlWords){0};
}

static void free_pairs(YamlPairs *p)
{
    for (int i = 0; i < p->count; i++) {
        free(p->item[i].group);
        free(p->item[i].name);
        free(p->item[i].value);
    }
    free(p->item);
    *p = (YamlPairs){0};
}

static void free_tables(const YamlField *f, YamlTables *t)
{
    for (int i = 0; i < t->count; i++)
        yaml_free_fields(f->item, f->item_count, (char *)t->item + (size_t)i * f->item_bytes);
    free(t->item);
    *t = (YamlTables){0};
}

void yaml_free_fields(const YamlField *field, int count, void *to)
{
    for (const YamlField *f = field; f < field + count; f++) {
        void *member = (char *)to + f->to;
        if (f->type == YAML_TEXT) {
            free(*(char **)member);
            *(char **)member = NULL;
        } else if (f->type == YAML_WORDS) {
            free_words(member);
        } else if (f->type == YAML_PAIRS) {
            free_pairs(member);
        } else if (f->type == YAML_TABLES) {
            free_tables(f, member);
        }
    }
}

void yaml_read_fields(Yaml *y, const YamlField *field, int count, void *to, int *line)
{
    Target t = {y, field, count, to, line, ""};
    memset(line, 0, (size_t)count * sizeof *line);
    read_table(&t, y->root, "");
    finish_table(&t, 0);
}

int yaml_entry_count(const Yaml *y)
{
    return (int)(y->root->data.mapping.pairs.top - y->root->data.mapping.pairs.start);
}

const char *yaml_read_entry(Yaml *y, int i, const YamlField *field, int count, void *to, int *line)
{
    const yaml_node_pair_t *p = &y->root->data.mapping.pairs.start[i];
    const yaml_node_t *key = yaml_node_at(y, p->key), *value = yaml_node_at(y, p->value);
    if (!yaml_is_text(key) || value->type != YAML_MAPPING_NODE) {
        faults_add(y->faults, (Place){y->file, yaml_line_of(key), NULL},
                   "%s: %s, expected a name and its table of keys", yaml_describe(key).text, yaml_describe(value).text);
        return NULL;
    }
    Target t = {y, field, count, to, line, yaml_text_of(key)};
    memset(line, 0, (size_t)count * sizeof *line);
    read_table(&t, value, "");
    finish_table(&t, yaml_line_of(key));
    return yaml_text_of(key);
}
