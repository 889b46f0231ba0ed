#include "looks.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

enum { MAX_INDEX_BYTES = 256 << 20 };
static const char ending[] = ".looks";

/* ---- one hash ---- */

void pdq_text(const Pdq *p, char text[PDQ_TEXT])
{
    static const char digit[] = "0123456789abcdef";
    for (int i = 0; i < PDQ_BYTES; i++) {
        text[2 * i] = digit[p->byte[i] >> 4];
        text[2 * i + 1] = digit[p->byte[i] & 15];
    }
    text[PDQ_TEXT - 1] = 0;
}

static int digit_of(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

Status pdq_parse(const char *text, Pdq *out)
{
    bool fine = strlen(text) == PDQ_TEXT - 1;
    for (int i = 0; i < PDQ_BYTES && fine; i++) {
        const int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);
        fine = high >= 0 && low >= 0;
        if (fine) out->byte[i] = (uint8_t)(high << 4 | low);
    }
    return fine ? status_ok() : status_fail(ERR_INPUT, "not a PDQ hash, expected 64 hexadecimal digits");
}

int pdq_distance(const Pdq *a, const Pdq *b)
{
    int n = 0;
    for (int i = 0; i < PDQ_BYTES; i += 8) {
        uint64_t x, y;
        memcpy(&x, a->byte + i, sizeof x);
        memcpy(&y, b->byte + i, sizeof y);
        n += __builtin_popcountll(x ^ y);
    }
    return n;
}

/* ---- those of a clip ---- */

void looks_from_json(const json_t *list, Looks *out)
{
    size_t i;
    json_t *one;
    *out = (Looks){0};
    json_array_foreach(list, i, one)
    {
        if (out->count == LOOKS_MAX) break;
        if (json_is_string(one) && !failed(pdq_parse(json_string_value(one), &out->hash[out->count]))) out->count++;
    }
}

json_t *looks_to_json(const Looks *l)
{
    char text[PDQ_TEXT];
    json_t *list = json_array();
    for (int i = 0; i < l->count; i++) {
        pdq_text(&l->hash[i], text);
        json_array_append_new(list, json_string(text));
    }
    return list;
}

double looks_distance(const Looks *a, const Looks *b)
{
    int least_b[LOOKS_MAX], sum = 0;
    if (!a->count || !b->count) return 8 * PDQ_BYTES;
    for (int k = 0; k < b->count; k++) least_b[k] = 8 * PDQ_BYTES;
    for (int i = 0; i < a->count; i++) {
        int least = 8 * PDQ_BYTES;
        for (int k = 0; k < b->count; k++) {
            const int d = pdq_distance(&a->hash[i], &b->hash[k]);
            if (d < least) least = d;
            if (d < least_b[k]) least_b[k] = d;
        }
        sum += least;
    }
    for (int k = 0; k < b->count; k++) sum += least_b[k];
    return (double)sum / (a->count + b->count);
}

/* ---- the index ---- */

void looks_index_add(LooksIndex *x, const char *campaign, const char *shot, const Looks *looks)
{
    if (x->count == x->room) {
        x->room = 2 * x->room + 64;
        x->item = memory_resize(x->item, (size_t)x->room, sizeof *x->item);
    }
    x->item[x->count++] = (IndexedLooks){text_copy(campaign), text_copy(shot), *looks};
}

void looks_index_clear(LooksIndex *x)
{
    for (int i = 0; i < x->count; i++) {
        free(x->item[i].campaign);
        free(x->item[i].shot);
    }
    free(x->item);
    *x = (LooksIndex){0};
}

static Status parse_line(const char *name, int line, const char *text, size_t bytes, LooksIndex *out)
{
    json_t *j = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    const char *campaign = json_string_value(json_object_get(j, "campaign")),
               *shot = json_string_value(json_object_get(j, "shot"));
    const bool fine = campaign && shot && json_is_array(json_object_get(j, "pdq"));
    Looks looks;
    looks_from_json(json_object_get(j, "pdq"), &looks);
    if (fine) looks_index_add(out, campaign, shot, &looks);
    json_decref(j);
    return fine ? status_ok()
                : status_fail(ERR_INPUT,
                              "%s:%d: expected {\"campaign\", \"shot\", \"pdq\": [...]}; remove the file, "
                              "and let its campaign write it again: reelwright gate DIR --index FOLDER",
                              name, line);
}

Status looks_index_parse(const char *name, const char *text, size_t bytes, LooksIndex *out)
{
    const char *end = text + bytes;
    for (int line = 1; text < end; line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        if (!stop) stop = end;
        if (stop > text) TRY(parse_line(name, line, text, (size_t)(stop - text), out));
        text = stop + 1;
    }
    return status_ok();
}

static Status read_file(const char *folder, const char *name, LooksIndex *out)
{
    char *path = path_join(folder, name), *text = NULL;
    size_t bytes;
    Status status = file_read(path, MAX_INDEX_BYTES, &text, &bytes);
    if (!failed(status)) status = looks_index_parse(path, text, bytes, out);
    free(text);
    free(path);
    return status;
}

/* A campaign's name is checked to be one that a file may have. */
static char *file_name(const char *campaign) { return text_format("%s%s", campaign, ending); }

Status looks_index_read(const char *folder, const char * not, LooksIndex *out)
{
    char *own = not ? file_name(not ) : NULL;
    DIR *dir = opendir(folder);
    Status status = status_ok();
    *out = (LooksIndex){0};
    for (struct dirent *e; dir && !failed(status) && (e = readdir(dir));) {
        const size_t n = strlen(e->d_name), tail = sizeof ending - 1;
        if (e->d_name[0] == '.' || n <= tail || strcmp(e->d_name + n - tail, ending) != 0) continue;
        if (!own || strcmp(e->d_name, own) != 0) status = read_file(folder, e->d_name, out);
    }
    if (dir) closedir(dir);
    free(own);
    return status;
}

Status looks_index_write(const char *folder, const char *campaign, const LooksIndex *own)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) return status_fail(ERR_NODE, "out of memory for an index");
    for (int i = 0; i < own->count; i++) {
        json_t *j = json_pack("{s:s, s:s, s:o}", "campaign", own->item[i].campaign, "shot", own->item[i].shot, "pdq",
                              looks_to_json(&own->item[i].looks));
        if (j) json_dumpf(j, f, JSON_COMPACT);
        if (j) fputc('\n', f);
        json_decref(j);
    }
    fclose(f);
    char *name = file_name(campaign), *path = path_join(folder, name);
    Status status = file_make_folders(folder);
    if (!failed(status)) status = file_replace(path, text, bytes);
    free(path);
    free(name);
    free(text);
    return status;
}

const IndexedLooks *looks_index_nearest(const LooksIndex *x, const Looks *looks, double *distance)
{
    const IndexedLooks *best = NULL;
    *distance = 8 * PDQ_BYTES;
    for (int i = 0; i < x->count && looks->count; i++) {
        const double d = looks_distance(&x->item[i].looks, looks);
        if (best && d >= *distance) continue;
        best = &x->item[i];
        *distance = d;
    }
    return best;
}
