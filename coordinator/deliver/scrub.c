#include "scrub.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "common/file.h"

enum {
    SHORT_ID = 3,  /* letters: shorter ones are found only where ids stand */
    SHORT_WORD = 6 /* shorter cells, "red", are found only where they stand alone */
};

typedef struct {
    const Erased *erased;
    char *name; /* of the tombstone */
    bool found;
} Scrub;

/* An id ends where none of its letters could stand: "c1" is not in "c12". */
static bool is_border(char c, const char *borders) { return c == 0 || strchr(borders, c) != NULL; }

static char *replace(Scrub *s, char *text, const char *needle, const char *by, bool whole)
{
    size_t n = strlen(needle);
    if (n == 0 || !strstr(text, needle)) return text;
    char *out = NULL;
    size_t bytes;
    FILE *to = open_memstream(&out, &bytes);
    if (!to) abort();
    const char *from = text;
    for (const char *at; (at = strstr(from, needle)); from = at + n) {
        bool borders =
            !whole || (is_border(at == text ? 0 : at[-1], " ,:;\"/=('") && is_border(at[n], " ,.:;\"/)'\n\r"));
        fwrite(from, 1, (size_t)(at - from), to);
        fputs(borders ? by : needle, to);
        s->found = s->found || borders;
    }
    fputs(from, to);
    if (fclose(to) != 0) abort();
    free(text);
    return out;
}

static char *scrub_text(Scrub *s, char *text, bool ids)
{
    const Erased *e = s->erased;
    text = replace(s, text, e->prompt, "[erased]", false);
    text = replace(s, text, e->negative, "[erased]", false);
    for (int i = 0; i < e->word_count; i++)
        if (strcmp(e->word[i], e->clip_id) != 0)
            text = replace(s, text, e->word[i], "[erased]", strlen(e->word[i]) < SHORT_WORD);
    if (!ids) return text;
    text = replace(s, text, e->clip_id, s->name, true);
    text = replace(s, text, e->other_stem, s->name, true);
    return replace(s, text, e->stem, s->name, true);
}

/* What these say comes from the program and the campaign, whatever a cell says. */
static bool is_ours(const char *key)
{
    static const char *const ours[] = {"time", "event", "campaign", "stage", "state", "shot"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(key, ours[i]) == 0) return true;
    return false;
}

/* Texts inside of a JSON value; numbers are never somebody's id. */
static void scrub_json(Scrub *s, json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_string(value)) {
        char *text = scrub_text(s, text_copy(json_string_value(value)), true);
        json_string_set(value, text);
        free(text);
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item) scrub_json(s, item);
    } else if (json_is_object(value)) {
        json_object_foreach(value, key, item) if (!is_ours(key)) scrub_json(s, item);
    }
}

/* A line of a log in which a short id is an id: of a message, or of a lease (worker/render/diary.c). */
static bool names_a_clip(const char *line)
{
    static const char *const sign[] = {"clip", ": render of ", ": finish of ", "finished "};
    for (size_t i = 0; i < sizeof sign / sizeof *sign; i++)
        if (strstr(line, sign[i])) return true;
    return false;
}

static char *scrub_line(Scrub *s, const char *line, bool json)
{
    json_t *value = json ? json_loads(line, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (value) {
        bool before = s->found;
        s->found = false;
        scrub_json(s, value);
        char *text = s->found ? json_dumps(value, JSON_COMPACT) : text_copy(line);
        s->found = s->found || before;
        json_decref(value);
        return text;
    }
    const bool names = strlen(s->erased->clip_id) >= SHORT_ID || names_a_clip(line);
    return scrub_text(s, text_copy(line), names);
}

static Status scrub_file(Scrub *s, const char *path, bool json)
{
    char *text = NULL, *out = NULL;
    size_t bytes, written;
    struct stat info;
    TRY(file_read(path, (size_t)1 << 30, &text, &bytes));
    FILE *to = open_memstream(&out, &written);
    if (!to) abort();
    s->found = false;
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        bool last = !*end;
        *end = 0;
        char *clean = scrub_line(s, line, json);
        fprintf(to, "%s%s", clean, last ? "" : "\n");
        free(clean);
        if (!last) end++;
    }
    if (fclose(to) != 0) abort();
    Status status = status_ok();
    if (s->found) {
        mode_t mode = stat(path, &info) == 0 ? info.st_mode & 0777 : 0600;
        status = file_replace(path, out, written);
        if (!failed(status) && chmod(path, mode) != 0) status = status_errno(ERR_NODE, "%s", path);
    }
    free(out);
    free(text);
    return status;
}

static Status scrub_all(Scrub *s, const char *folder, bool logs)
{
    DIR *dir = opendir(folder);
    Status status = status_ok();
    for (struct dirent *e; dir && !failed(status) && (e = readdir(dir));) {
        bool events = fnmatch("events.*jsonl*", e->d_name, 0) == 0, /* also those of a merged campaign's parts */
            log = strstr(e->d_name, ".log") != NULL;
        if (e->d_name[0] == '.' || (!logs && !events && !log)) continue;
        char *path = path_join(folder, e->d_name);
        if (!file_is_folder(path)) status = scrub_file(s, path, events);
        free(path);
    }
    if (dir) closedir(dir);
    return status;
}

Status scrub_folder(const char *folder, const Erased *e)
{
    Scrub s = {.erased = e, .name = text_format("erased-%lld", (long long)e->clip)};
    char *logs = path_join(folder, "logs");
    Status status = scrub_all(&s, folder, false);
    if (!failed(status)) status = scrub_all(&s, logs, true);
    free(logs);
    free(s.name);
    return status;
}
