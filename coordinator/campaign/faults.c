#include "faults.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"

enum { TOLD_EACH = 3 }; /* of the same fault, in so many lines; the others are counted */

typedef struct {
    int file; /* index into Faults.file */
    int line;
    char *text;
    const char *cause; /* the text's end, from the field on */
    int64_t more;      /* lines with the same fault that are not told */
} Fault;

struct Faults {
    int file_count;
    char *file[FAULTS_SHOWN];
    int shown;
    Fault fault[FAULTS_SHOWN];
    int64_t count;
    Warnings warnings;
};

Faults *faults_new(void) { return memory_get(1, sizeof(Faults)); }

void faults_free(Faults **f)
{
    if (!*f) return;
    for (int i = 0; i < (*f)->shown; i++) free((*f)->fault[i].text);
    for (int i = 0; i < (*f)->file_count; i++) free((*f)->file[i]);
    warnings_clear(&(*f)->warnings);
    free(*f);
    *f = NULL;
}

int64_t faults_count(const Faults *f) { return f->count; }

static int file_index(Faults *f, const char *file)
{
    int i = 0;
    while (i < f->file_count && strcmp(f->file[i], file) != 0) i++;
    if (i == f->file_count) f->file[f->file_count++] = text_copy(file);
    return i;
}

/* What a message says behind the field's name, which stands before it anyway; without that name, all of it. */
static const char *behind_field(const char *message, const char *field)
{
    const size_t n = strlen(field);
    if (n == 0 || strncmp(message, field, n) != 0) return message;
    if (strncmp(message + n, ": ", 2) == 0) return message + n + 2;
    return strncmp(message + n, " \"", 2) == 0 ? message + n + 1 : message;
}

/* "field NAME: MESSAGE"; free() it. */
static char *cause_text(Place place, const char *fmt, va_list args)
{
    char message[1000];
    const char *field = place.field ? place.field : "";
    vsnprintf(message, sizeof message, fmt, args);
    char *text =
        text_format("%s%.100s%s%s", *field ? "field " : "", field, *field ? ": " : "", behind_field(message, field));
    foreign_clean(text);
    return text;
}

static char *placed_text(Place place, const char *cause)
{
    char line[16] = "";
    if (place.line > 0) snprintf(line, sizeof line, ":%d", place.line);
    char *file = foreign_copy(place.file), *text = text_format("%s%s: %s", file, line, cause);
    free(file);
    return text;
}

/* The last one told of the same fault, when that was often enough; NULL: tell this one too. */
static Fault *find_same(Faults *f, Place place, const char *cause)
{
    Fault *last = NULL;
    int same = 0;
    for (int i = 0; i < f->shown && place.line > 0; i++) {
        Fault *one = &f->fault[i];
        if (one->line == 0 || strcmp(one->cause, cause) != 0 || strcmp(f->file[one->file], place.file) != 0) continue;
        last = one;
        same++;
    }
    return same >= TOLD_EACH ? last : NULL;
}

static void tell(Faults *f, Place place, const char *cause)
{
    int file = file_index(f, place.file), at = f->shown++;
    for (; at > 0; at--) { /* by file and line, and else as they came */
        const Fault *before = &f->fault[at - 1];
        if (before->file < file || (before->file == file && before->line <= place.line)) break;
        f->fault[at] = *before;
    }
    char *text = placed_text(place, cause);
    f->fault[at] = (Fault){file, place.line, text, text + strlen(text) - strlen(cause), 0};
}

void faults_add(Faults *f, Place place, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *cause = cause_text(place, fmt, args);
    va_end(args);
    Fault *same = find_same(f, place, cause);
    f->count++;
    if (same)
        same->more++;
    else if (f->shown < FAULTS_SHOWN)
        tell(f, place, cause);
    free(cause);
}

/* ---- warnings ---- */

void faults_warn(Faults *f, Place place, const char *id, const char *fmt, ...)
{
    Warnings *w = &f->warnings;
    if (w->count == WARNINGS_SHOWN) return;
    va_list args;
    va_start(args, fmt);
    char *cause = cause_text(place, fmt, args);
    va_end(args);
    w->warning = memory_resize(w->warning, (size_t)(w->count + 1), sizeof *w->warning);
    w->warning[w->count++] =
        (Warning){text_copy(id), text_copy(place.field ? place.field : ""), placed_text(place, cause)};
    free(cause);
}

Warnings faults_take_warnings(Faults *f)
{
    Warnings w = f->warnings;
    f->warnings = (Warnings){0};
    return w;
}

void warnings_clear(Warnings *w)
{
    for (int i = 0; i < w->count; i++) {
        free(w->warning[i].id);
        free(w->warning[i].field);
        free(w->warning[i].message);
    }
    free(w->warning);
    *w = (Warnings){0};
}

Status faults_status(const Faults *f)
{
    enum { ROOM = STATUS_MESSAGE_MAX - 1024 }; /* what a Status holds, and a prefix */
    if (f->count == 0) return status_ok();
    char *list = memory_get(ROOM, 1);
    size_t length = 0;
    int told = 0;
    int64_t untold = f->count;
    if (f->count > 1)
        length = (size_t)snprintf(list, ROOM, "%" PRId64 " faults in the input, nothing was started:", f->count);
    for (; told < f->shown; told++) {
        const Fault *one = &f->fault[told];
        if (length + strlen(one->text) + 128 > ROOM) break;
        length += (size_t)snprintf(list + length, ROOM - length, "%s%s", length ? "\n" : "", one->text);
        if (one->more)
            length += (size_t)snprintf(list + length, ROOM - length, " (and so in %" PRId64 " more lines)", one->more);
        untold -= 1 + one->more;
    }
    if (untold > 0) snprintf(list + length, ROOM - length, "%sand %" PRId64 " more", length ? "\n" : "", untold);
    Status s = status_lines(ERR_INPUT, list);
    free(list);
    return s;
}

Quoted quoted(const char *value)
{
    enum { SHOWN = 60 };
    Quoted q;
    size_t n = strlen(value);
    bool cut = n > SHOWN;
    if (cut)
        for (n = SHOWN; n > 0 && ((unsigned char)value[n] & 0xc0) == 0x80;) n--; /* not within a character */
    snprintf(q.text, sizeof q.text, "\"%.*s%s\"", (int)n, value, cut ? "..." : "");
    return q;
}
