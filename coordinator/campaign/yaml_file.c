#include "yaml_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

/* ---- what stands at one place ---- */

int yaml_line_of(const yaml_node_t *node) { return (int)node->start_mark.line + 1; }

const yaml_node_t *yaml_node_at(Yaml *y, int index) { return yaml_document_get_node(&y->document, index); }

const char *yaml_text_of(const yaml_node_t *node) { return (const char *)node->data.scalar.value; }

bool yaml_is_text(const yaml_node_t *node) /* a scalar that C can hold */
{
    return node->type == YAML_SCALAR_NODE && strlen(yaml_text_of(node)) == node->data.scalar.length;
}

bool yaml_is_plain(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

bool yaml_is_null(const yaml_node_t *node)
{
    return yaml_is_plain(node) &&
           (!*yaml_text_of(node) || strcmp(yaml_text_of(node), "~") == 0 || strcmp(yaml_text_of(node), "null") == 0);
}

Quoted yaml_describe(const yaml_node_t *node)
{
    Quoted q;
    if (yaml_is_text(node) && !yaml_is_null(node)) {
        q = quoted(yaml_text_of(node));
        if (yaml_is_plain(node)) return q;
        snprintf(q.text, sizeof q.text, "the text %.60s", quoted(yaml_text_of(node)).text);
        return q;
    }
    const char *kind = node->type == YAML_MAPPING_NODE    ? "a table"
                       : node->type == YAML_SEQUENCE_NODE ? "a list"
                       : yaml_is_null(node)               ? "no value"
                                                          : "text with a zero byte";
    snprintf(q.text, sizeof q.text, "%s", kind);
    return q;
}

/* ---- the whole ---- */

static int line_at(const char *text, size_t bytes, size_t offset)
{
    int line = 1;
    for (size_t i = 0; i < offset && i < bytes; i++) line += text[i] == '\n';
    return line;
}

/* This line or the one before it has a value that begins with {{. */
static bool has_braces(const char *text, size_t bytes, int line)
{
    int at = 1;
    for (size_t i = 0; i + 3 < bytes && at <= line; i++) {
        at += text[i] == '\n';
        if (at >= line - 1 && memcmp(text + i, ": {{", 4) == 0) return true;
    }
    return false;
}

static void syntax_fault(const Yaml *y, const yaml_parser_t *p, const char *text, size_t bytes)
{
    Place place = {y->file, 0, NULL};
    const char *problem = p->problem ? p->problem : "not understood";
    if (p->error == YAML_READER_ERROR) {
        place.line = line_at(text, bytes, p->problem_offset);
        faults_add(y->faults, place, "byte %zu of the file (0x%02x): %s; expected UTF-8 text", p->problem_offset + 1,
                   (unsigned)p->problem_value & 0xffu, problem);
        return;
    }
    place.line = (int)p->problem_mark.line + 1;
    const char *hint = "";
    if (p->problem_mark.index < bytes && text[p->problem_mark.index] == '\t')
        hint = "; a tab, expected spaces to indent with";
    else if (has_braces(text, bytes, place.line))
        hint = "; put a text that begins with {{ into quotes";
    faults_add(y->faults, place, "column %zu: %s%s%s%s", p->problem_mark.column + 1, problem, p->context ? " " : "",
               p->context ? p->context : "", hint);
}

static void begin_parser(yaml_parser_t *p, const char *text, size_t bytes)
{
    if (!yaml_parser_initialize(p)) abort();
    yaml_parser_set_encoding(p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(p, (const unsigned char *)text, bytes);
}

static bool has_anchor(const yaml_event_t *e)
{
    return (e->type == YAML_SCALAR_EVENT && e->data.scalar.anchor) ||
           (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.anchor) ||
           (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.anchor);
}

typedef struct {
    int depth, anchors, documents;
} Nesting;

/* NULL, or why the file is not read on. */
static const char *check_event(const yaml_event_t *e, Nesting *n)
{
    n->depth += e->type == YAML_SEQUENCE_START_EVENT || e->type == YAML_MAPPING_START_EVENT;
    n->depth -= e->type == YAML_SEQUENCE_END_EVENT || e->type == YAML_MAPPING_END_EVENT;
    n->documents += e->type == YAML_DOCUMENT_START_EVENT;
    n->anchors += has_anchor(e);
    if (n->documents > 1) return "a second document, expected one";
    if (n->depth > YAML_MAX_DEPTH) return "lists and tables within each other, expected at most 20 levels";
    if (n->anchors > YAML_MAX_ANCHORS) return "anchors (&name), expected at most 100";
    return NULL;
}

/* libyaml's time grows with the square of depth and of anchors (a file of 200 kB of [ takes two minutes), so both
 * are counted event by event before it builds the document. Syntax errors are found here, too. */
static bool is_sound(Yaml *y, const char *text, size_t bytes)
{
    yaml_parser_t parser;
    Nesting nesting = {0};
    bool sound = true, more = true;
    begin_parser(&parser, text, bytes);
    while (sound && more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            syntax_fault(y, &parser, text, bytes);
            sound = false;
            break;
        }
        const char *fault = check_event(&event, &nesting);
        if (fault) faults_add(y->faults, (Place){y->file, (int)event.start_mark.line + 1, NULL}, "%s", fault);
        sound = !fault;
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return sound;
}

static bool load_document(Yaml *y, const char *text, size_t bytes)
{
    yaml_parser_t parser;
    begin_parser(&parser, text, bytes);
    bool loaded = yaml_parser_load(&parser, &y->document);
    if (!loaded) syntax_fault(y, &parser, text, bytes); /* an alias of nothing */
    yaml_parser_delete(&parser);
    if (!loaded) return false;
    y->root = yaml_document_get_root_node(&y->document);
    if (y->root && y->root->type == YAML_MAPPING_NODE) return true;
    Place place = {y->file, y->root ? yaml_line_of(y->root) : 0, NULL};
    faults_add(y->faults, place, "%s, expected keys and values", y->root ? yaml_describe(y->root).text : "empty");
    return false;
}

Yaml *yaml_open(const char *file, const char *text, size_t bytes, Faults *faults)
{
    Yaml *y = memory_get(1, sizeof *y);
    y->file = file;
    y->faults = faults;
    size_t bom = bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    y->text = text += bom;
    y->bytes = bytes -= bom;
    if (is_sound(y, text, bytes) && load_document(y, text, bytes)) return y;
    yaml_close(&y);
    return NULL;
}

void yaml_close(Yaml **y)
{
    if (!*y) return;
    yaml_document_delete(&(*y)->document);
    free(*y);
    *y = NULL;
}
