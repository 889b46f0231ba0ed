#include "template.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/options.h"
#include "coordinator/campaign/customers_text.h"

typedef struct {  /* literal text, or a column with what stands for it when it is empty */
    int column;   /* -1: only the text (literal, or a fallback where the table has no such column) */
    char *text;   /* literal or fallback; NULL: no fallback */
    size_t bytes; /* of text */
} Part;

struct Template {
    int count, room;
    Part *part;
};

static void add_part(Template *t, int column, const char *text, size_t bytes)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 8;
        t->part = reallocarray(t->part, (size_t)t->room, sizeof *t->part);
        if (!t->part) abort();
    }
    char *copy = NULL;
    if (text) {
        copy = memory_get(bytes + 1, 1);
        memcpy(copy, text, bytes);
    }
    t->part[t->count++] = (Part){column, copy, text ? bytes : 0};
}

/* Without the spaces and tabs on both sides. */
static void trim(const char **text, size_t *bytes)
{
    while (*bytes && (**text == ' ' || **text == '\t')) (*text)++, (*bytes)--;
    while (*bytes && ((*text)[*bytes - 1] == ' ' || (*text)[*bytes - 1] == '\t')) (*bytes)--;
}

static void unknown_column(const char *name, const Customers *columns, Place place, Faults *faults)
{
    const char *near = options_nearest(name, (const char *const *)columns->column, columns->column_count);
    if (near)
        faults_add(faults, place, "no column %s among the customers'; did you mean {{%.60s}}?", quoted(name).text,
                   near);
    else
        faults_add(faults, place,
                   "no column %s among the customers'; expected one of theirs or a fallback, {{%.60s|...}}",
                   quoted(name).text, name);
}

/* No fault, but most often a name that is spelled otherwise in the table. */
static void only_fallback(const char *name, const Customers *columns, Place place, Faults *faults)
{
    const char *near = options_nearest(name, (const char *const *)columns->column, columns->column_count);
    faults_warn(faults, place, "", "no column %s among the customers', so that every row gets the fallback%s%s%s",
                quoted(name).text, near ? "; did you mean {{" : "", near ? near : "", near ? "|...}}?" : "");
}

/* What stands between {{ and }}. */
static void add_variable(Template *t, const char *text, size_t bytes, const Customers *columns, Place place,
                         Faults *faults)
{
    const char *bar = memchr(text, '|', bytes), *fallback = NULL;
    size_t fallback_bytes = 0;
    if (bar) {
        fallback = bar + 1;
        fallback_bytes = bytes - (size_t)(fallback - text);
        bytes = (size_t)(bar - text);
        trim(&fallback, &fallback_bytes);
    }
    trim(&text, &bytes);
    char *name = text_format("%.*s", (int)bytes, text);
    customers_text_trim(name); /* as the columns' names are */
    int column = customers_column(columns, name);
    if (!bytes)
        faults_add(faults, place, "a variable without a name; expected {{column}} or {{column|fallback}}");
    else if (column < 0 && !bar && columns->column_count > 0)
        unknown_column(name, columns, place, faults);
    else if (column < 0 && bar && columns->column_count > 0)
        only_fallback(name, columns, place, faults);
    add_part(t, column, fallback ? fallback : (column < 0 ? "" : NULL), fallback_bytes);
    free(name);
}

Template *template_new(const char *text, const Customers *columns, Place place, Faults *faults)
{
    Template *t = memory_get(1, sizeof *t);
    const char *from = text; /* of the literal that is being gathered */
    for (const char *p; (p = strstr(from, "{{"));) {
        if (p > from && p[-1] == '\\') { /* the braces are literal and open the next part */
            add_part(t, -1, from, (size_t)(p - 1 - from));
            add_part(t, -1, "{{", 2);
            from = p + 2;
            continue;
        }
        const char *end = strstr(p + 2, "}}"), *next = strstr(p + 2, "{{");
        add_part(t, -1, from, (size_t)(p - from));
        if (!end || (next && next < end)) {
            faults_add(faults, place, "{{ without }} at %s; \\{{ stands for two braces", quoted(p).text);
            return t;
        }
        add_variable(t, p + 2, (size_t)(end - p - 2), columns, place, faults);
        from = end + 2;
    }
    add_part(t, -1, from, strlen(from));
    return t;
}

void template_free(Template **t)
{
    if (!*t) return;
    for (int i = 0; i < (*t)->count; i++) free((*t)->part[i].text);
    free((*t)->part);
    free(*t);
    *t = NULL;
}

int template_first_column(const Template *t)
{
    for (int i = 0; i < t->count; i++)
        if (t->part[i].column >= 0) return t->part[i].column;
    return -1;
}

bool template_is_constant(const Template *t) { return template_first_column(t) < 0; }

int template_missing(const Template *t, const Customers *c, int64_t row)
{
    for (int i = 0; i < t->count; i++) {
        const Part *p = &t->part[i];
        if (p->column >= 0 && !p->text && !*customers_value(c, row, p->column)) return p->column;
    }
    return -1;
}

static void put(char **buffer, size_t *room, size_t length, const char *text, size_t bytes)
{
    if (length + bytes + 1 > *room) {
        *room = 2 * (length + bytes + 1);
        *buffer = memory_resize(*buffer, *room, 1);
    }
    memcpy(*buffer + length, text, bytes);
    (*buffer)[length + bytes] = 0;
}

int template_column(const Template *t, int i) { return i < t->count ? t->part[i].column : TEMPLATE_END; }

static const char *entity_of(char c)
{
    return c == '<'    ? "&lt;"
           : c == '>'  ? "&gt;"
           : c == '&'  ? "&amp;"
           : c == '"'  ? "&quot;"
           : c == '\'' ? "&apos;"
                       : NULL;
}

/* Appends a value; returns the new length. */
static size_t put_value(char **buffer, size_t *room, size_t length, const char *value, size_t bytes, TemplateForm form)
{
    const char *begin = form == TEMPLATE_SHOWN ? "\xE2\x81\xA8" : "",
               *end = form == TEMPLATE_SHOWN ? "\xE2\x81\xA9" : "";
    put(buffer, room, length, begin, strlen(begin));
    length += strlen(begin);
    for (size_t i = 0; i < bytes; i++) {
        const bool control = (unsigned char)value[i] < ' ' || value[i] == 0x7F;
        const char *entity = form == TEMPLATE_XML ? entity_of(value[i]) : NULL;
        if (entity) {
            put(buffer, room, length, entity, strlen(entity));
            length += strlen(entity);
        } else {
            put(buffer, room, length++, control ? " " : value + i, 1);
        }
    }
    put(buffer, room, length, end, strlen(end));
    return length + strlen(end);
}

size_t template_expand(const Template *t, const Customers *c, int64_t row, char **buffer, size_t *room)
{
    return template_expand_as(t, c, row, TEMPLATE_RAW, buffer, room);
}

size_t template_expand_as(const Template *t, const Customers *c, int64_t row, TemplateForm form, char **buffer,
                          size_t *room)
{
    size_t length = 0;
    put(buffer, room, 0, "", 0);
    for (int i = 0; i < t->count; i++) {
        const Part *p = &t->part[i];
        const char *value = p->column < 0 || row < 0 ? "" : customers_value(c, row, p->column);
        size_t bytes = strlen(value);
        const bool own = bytes > 0; /* the row's, not ours */
        if (!bytes && p->text) {
            value = p->text;
            bytes = p->bytes;
        }
        if (form != TEMPLATE_RAW && own) {
            length = put_value(buffer, room, length, value, bytes, form);
            continue;
        }
        put(buffer, room, length, value, bytes);
        length += bytes;
    }
    return length;
}
