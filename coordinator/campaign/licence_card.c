#include "licence_card.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "common/file.h"

static const char *scalar(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

static yaml_node_t *value_of(yaml_document_t *d, const yaml_node_t *table, const char *key)
{
    if (!table || table->type != YAML_MAPPING_NODE) return NULL;
    for (const yaml_node_pair_t *p = table->data.mapping.pairs.start; p < table->data.mapping.pairs.top; p++) {
        const char *name = scalar(yaml_document_get_node(d, p->key));
        if (name && strcmp(name, key) == 0) return yaml_document_get_node(d, p->value);
    }
    return NULL;
}

/* A text, or a list of texts with commas between; NULL: neither. */
static char *text_of(yaml_document_t *d, const yaml_node_t *n)
{
    if (scalar(n)) return *scalar(n) ? text_copy(scalar(n)) : NULL;
    if (!n || n->type != YAML_SEQUENCE_NODE) return NULL;
    char *all = NULL;
    for (const yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
        const char *one = scalar(yaml_document_get_node(d, *i));
        if (!one) continue;
        char *longer = text_format("%s%s%s", all ? all : "", all ? ", " : "", one);
        free(all);
        all = longer;
    }
    return all;
}

static char *first_of(yaml_document_t *d, const yaml_node_t *root, const char *const *keys)
{
    for (; *keys; keys++) {
        char *text = text_of(d, value_of(d, root, *keys));
        if (text) return text;
    }
    return NULL;
}

static void take_parts(yaml_document_t *d, const yaml_node_t *table, LicenceCard *out)
{
    if (!table || table->type != YAML_MAPPING_NODE) return;
    for (const yaml_node_pair_t *p = table->data.mapping.pairs.start; p < table->data.mapping.pairs.top; p++) {
        const char *name = scalar(yaml_document_get_node(d, p->key)),
                   *licence = scalar(yaml_document_get_node(d, p->value));
        if (!name || !licence || out->count == LICENCE_CARD_PARTS) continue;
        out->part[out->count] = text_copy(name);
        out->part_licence[out->count++] = text_copy(licence);
    }
}

static void take_document(yaml_document_t *d, LicenceCard *out)
{
    const yaml_node_t *root = yaml_document_get_root_node(d), *parts;
    out->licence = first_of(d, root, (const char *const[]){"license", "licence", NULL});
    if (out->licence && strcmp(out->licence, "other") == 0) {
        char *name = first_of(d, root, (const char *const[]){"license_name", "license_link", NULL});
        if (name) {
            free(out->licence);
            out->licence = name;
        }
    }
    out->training = first_of(d, root, (const char *const[]){"training_data", "datasets", NULL});
    parts = value_of(d, root, "licences");
    take_parts(d, parts ? parts : value_of(d, root, "licenses"), out);
}

/* What stands between the first line, "---", and the next one like it; 0: nothing does. */
static size_t front_matter(const char *text, size_t bytes, const char **start)
{
    if (bytes < 4 || memcmp(text, "---", 3) != 0 || (text[3] != '\n' && text[3] != '\r')) return 0;
    const char *from = memchr(text, '\n', bytes), *end = text + bytes;
    if (!from) return 0;
    *start = ++from;
    for (const char *line = from; line < end;) {
        if (end - line >= 3 && memcmp(line, "---", 3) == 0) return (size_t)(line - from);
        const char *next = memchr(line, '\n', (size_t)(end - line));
        if (!next) return 0;
        line = next + 1;
    }
    return 0;
}

void licence_card_parse(const char *text, size_t bytes, LicenceCard *out)
{
    const char *start;
    size_t n = front_matter(text, bytes, &start);
    yaml_parser_t parser;
    yaml_document_t document;
    *out = (LicenceCard){0};
    if (n == 0 || !yaml_parser_initialize(&parser)) return;
    yaml_parser_set_input_string(&parser, (const unsigned char *)start, n);
    if (yaml_parser_load(&parser, &document)) {
        take_document(&document, out);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
}

void licence_card_clear(LicenceCard *c)
{
    free(c->licence);
    free(c->training);
    for (int i = 0; i < c->count; i++) {
        free(c->part[i]);
        free(c->part_licence[i]);
    }
    *c = (LicenceCard){0};
}
