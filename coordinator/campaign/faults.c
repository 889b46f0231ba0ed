#include "faults.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"

typedef struct {
    int file; /* index into Faults.file */
    int line;
    char *text;
} Fault;

struct Faults {
    int file_count;
    char *file[FAULTS_SHOWN];
    int shown;
    Fault fault[FAULTS_SHOWN];
    int64_t count;
};

Faults *faults_new(void) { return memory_get(1, sizeof(Faults)); }

void faults_free(Faults **f)
{
    if (!*f) return;
    for (int i = 0; i < (*f)->shown; i++) free((*f)->fault[i].text);
    for (int i = 0; i < (*f)->file_count; i++) free((*f)->file[i]);
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

void faults_add(Faults *f, Place place, const char *fmt, ...)
{
    char message[600];
    f->count++;
    if (f->shown == FAULTS_SHOWN) return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    char line[16] = "";
    if (place.line > 0) snprintf(line, sizeof line, ":%d", place.line);
    const char *field = place.field ? place.field : "";
    char *text =
        text_format("%s%s: %s%.100s%s%s", place.file, line, *field ? "field " : "", field, *field ? ": " : "", message);
    foreign_clean(text);
    int file = file_index(f, place.file), at = f->shown++;
    for (; at > 0; at--) { /* by file and line, and else as they came */
        const Fault *before = &f->fault[at - 1];
        if (before->file < file || (before->file == file && before->line <= place.line)) break;
        f->fault[at] = *before;
    }
    f->fault[at] = (Fault){file, place.line, text};
}

Status faults_status(const Faults *f)
{
    enum { ROOM = STATUS_MESSAGE_MAX - 1024 }; /* what a Status holds, and a prefix */
    if (f->count == 0) return status_ok();
    char *list = memory_get(ROOM, 1);
    size_t length = 0;
    int told = 0;
    if (f->count > 1)
        length = (size_t)snprintf(list, ROOM, "%" PRId64 " faults in the input, nothing was started:", f->count);
    for (; told < f->shown; told++) {
        const char *text = f->fault[told].text;
        if (length + strlen(text) + 64 > ROOM) break;
        length += (size_t)snprintf(list + length, ROOM - length, "%s%s", length ? "\n" : "", text);
    }
    if (told < f->count)
        snprintf(list + length, ROOM - length, "%sand %" PRId64 " more", length ? "\n" : "", f->count - told);
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
