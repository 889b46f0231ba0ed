#include "safetensors_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/weights/gguf.h"

enum { LENGTH_BYTES = 8, MAX_DIM = TENSOR_MAX_DIM + 3 };
static const uint64_t MAX_HEADER = 100u << 20; /* the format's own limit */

static const struct {
    const char *name;
    StoredType type;
    size_t bits;
} stored_types[] = {
    {"F32", STORED_F32, 32},   {"BF16", STORED_BF16, 16}, {"F16", STORED_F16, 16},        {"I64", STORED_I64, 64},
    {"F64", STORED_F64, 64},   {"I32", STORED_OTHER, 32}, {"I16", STORED_OTHER, 16},      {"I8", STORED_OTHER, 8},
    {"U8", STORED_OTHER, 8},   {"BOOL", STORED_OTHER, 8}, {"U16", STORED_OTHER, 16},      {"U32", STORED_OTHER, 32},
    {"U64", STORED_OTHER, 64}, {"F8_E4M3", STORED_F8, 8}, {"F8_E5M2", STORED_F8_E5M2, 8},
};

char *safetensors_plain_name(const char *name)
{
    static const char compiled[] = "_orig_mod.", spread[] = "module.";
    char *plain = text_copy(name), *to = plain;
    for (const char *from = plain; *from;)
        if ((from == plain || from[-1] == '.') && strncmp(from, compiled, strlen(compiled)) == 0)
            from += strlen(compiled);
        else
            *to++ = *from++;
    *to = 0;
    if (strncmp(plain, spread, strlen(spread)) == 0)
        memmove(plain, plain + strlen(spread), strlen(plain + strlen(spread)) + 1);
    return plain;
}

/* ---- one tensor's entry --------------------------------------------------------------------------------------------- */

static Status read_type(json_t *entry, StoredTensor *t, size_t *bits)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    if (!name) return status_fail(ERR_INPUT, "dtype is missing, expected a text such as \"F32\"");
    for (size_t i = 0; i < sizeof stored_types / sizeof *stored_types; i++) {
        if (strcmp(stored_types[i].name, name) != 0) continue;
        t->type = stored_types[i].type;
        t->type_name = stored_types[i].name;
        *bits = stored_types[i].bits;
        return status_ok();
    }
    return status_fail(ERR_INPUT, "dtype \"%.20s\" is unknown, expected F32, F16 or BF16", name);
}

static Status read_shape(json_t *entry, StoredTensor *t, uint64_t *count)
{
    json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > MAX_DIM)
        return status_fail(ERR_INPUT, "shape is no list of at most %d numbers", MAX_DIM);
    t->ndim = (int)json_array_size(shape);
    *count = 1;
    for (int i = 0; i < MAX_DIM; i++) t->dim[i] = 1;
    for (int i = 0; i < t->ndim; i++) {
        json_t *n = json_array_get(shape, (size_t)i);
        t->dim[i] = json_integer_value(n);
        if (!json_is_integer(n) || t->dim[i] < 0 || __builtin_mul_overflow(*count, (uint64_t)t->dim[i], count))
            return status_fail(ERR_INPUT, "shape has an entry that is negative, too large or no whole number");
    }
    return status_ok();
}

static Status read_entry(const Shard *s, size_t data_start, json_t *entry, StoredTensor *t)
{
    if (!json_is_object(entry)) return status_fail(ERR_INPUT, "expected {dtype, shape, data_offsets}");
    size_t bits = 0;
    uint64_t count = 0, bytes = 0;
    TRY(read_type(entry, t, &bits));
    TRY(read_shape(entry, t, &count));
    json_t *offsets = json_object_get(entry, "data_offsets");
    json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return status_fail(ERR_INPUT, "data_offsets is no pair of whole numbers");
    json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    uint64_t room = s->bytes - data_start;
    if (begin < 0 || end < begin || (uint64_t)end > room)
        return status_fail(ERR_INPUT,
                           "data_offsets [%" PRId64 ", %" PRId64 "] lie outside the file's %" PRIu64
                           " bytes of data: it is cut short, download it again",
                           (int64_t)begin, (int64_t)end, room);
    if (__builtin_mul_overflow(count, bits / 8, &bytes) || bytes != (uint64_t)(end - begin))
        return status_fail(ERR_INPUT, "data_offsets span %" PRId64 " bytes, but shape and dtype %s need %" PRIu64,
                           (int64_t)(end - begin), t->type_name, bytes);
    t->data = s->map + data_start + begin;
    t->bytes = (size_t)bytes;
    return status_ok();
}

/* ---- one file ------------------------------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const StoredTensor *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* The tensors must tile the data: a gap hides bytes, an overlap aliases two weights. */
static Status check_tiling(const Shard *s, size_t data_start, StoredTensor *t, int count)
{
    qsort(t, (size_t)count, sizeof *t, by_place);
    const unsigned char *at = s->map + data_start;
    for (int i = 0; i < count; i++) {
        if (t[i].data != at)
            return status_fail(ERR_INPUT, "%s: tensor \"%s\" %s, expected tensors that follow each other without gap",
                               s->path, t[i].name,
                               (const unsigned char *)t[i].data < at ? "overlaps the one before it"
                                                                     : "leaves a gap before it");
        at += t[i].bytes;
    }
    if (at != s->map + s->bytes)
        return status_fail(ERR_INPUT, "%s: %zu bytes after the last tensor belong to none", s->path,
                           (size_t)(s->map + s->bytes - at));
    return status_ok();
}

static Status add_tensors(Safetensors *s, const Shard *shard, size_t data_start, json_t *header)
{
    size_t most = (size_t)s->count + json_object_size(header);
    StoredTensor *grown = realloc(s->tensor, (most ? most : 1) * sizeof *grown);
    if (!grown) return status_fail(ERR_NODE, "%s: out of memory for %zu tensors", shard->path, most);
    s->tensor = grown;
    int first = s->count;
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            if (!s->metadata) s->metadata = json_incref(entry);
            continue;
        }
        StoredTensor *t = &s->tensor[s->count];
        *t = (StoredTensor){.file = shard->path};
        TRY(status_at(read_entry(shard, data_start, entry, t), "%s: tensor \"%.200s\"", shard->path, name));
        t->name = safetensors_plain_name(name);
        s->count++;
    }
    return check_tiling(shard, data_start, s->tensor + first, s->count - first);
}

/* The header's length; more than the file has where none can be read. */
static uint64_t header_length(const Shard *s)
{
    uint64_t length = 0;
    if (s->bytes < LENGTH_BYTES) return UINT64_MAX;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | s->map[i];
    return length;
}

/* What often stands in the place of weights. NULL: none of them, or a header's length that only looks like one (640 begins as a pickle). */
static const char *other_kind(const Shard *s)
{
    const uint64_t length = header_length(s);
    if (length <= MAX_HEADER && length <= s->bytes - LENGTH_BYTES) return NULL;

    static const struct {
        const char *begins, *kind;
    } row[] = {{"version https://git-lfs", "a Git LFS pointer, not the weights; `git lfs pull` fetches them"},
               {"<!DOCTYPE", "a web page, not the weights; download the file again"},
               {"<!doctype", "a web page, not the weights; download the file again"},
               {"<html", "a web page, not the weights; download the file again"},
               {"{\"error", "a server's error message, not the weights; download the file again"},
               {"PK\3\4", SAFETENSORS_PYTORCH},
               {"\x80\2", SAFETENSORS_PYTORCH}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const size_t n = strlen(row[i].begins);
        if (s->bytes >= n && memcmp(s->map, row[i].begins, n) == 0) return row[i].kind;
    }
    return NULL;
}

typedef struct {
    Safetensors *s;
    const Shard *shard;
} GgufTarget;

static Status put_gguf(void *self, const char *name, size_t bytes, const StoredTensor *t)
{
    const GgufTarget *to = self;
    Safetensors *s = to->s;
    if ((s->count & (s->count - 1)) == 0) /* room for twice as many at each power of two */
        s->tensor = memory_resize(s->tensor, s->count ? 2 * (size_t)s->count : 1, sizeof *s->tensor);
    char *whole = text_format("%.*s", (int)bytes, name);
    s->tensor[s->count] = *t;
    s->tensor[s->count].name = safetensors_plain_name(whole);
    free(whole);
    s->tensor[s->count++].file = to->shard->path;
    return status_ok();
}

static Status read_gguf(Safetensors *s, const Shard *shard)
{
    GgufTarget to = {s, shard};
    if (s->count > 0) return status_fail(ERR_INPUT, "%s: a GGUF file among shards", shard->path);
    return status_at(gguf_read(shard->map, shard->bytes, (GgufSink){put_gguf, &to}), "%s", shard->path);
}

Status safetensors_read_shard(Safetensors *s, const Shard *shard)
{
    const char *other = other_kind(shard);
    if (other) return status_fail(ERR_INPUT, "%s: %s", shard->path, other);
    if (shard->bytes == 0) return status_fail(ERR_INPUT, "%s: empty; download the file again", shard->path);
    if (gguf_is(shard->map, shard->bytes)) return read_gguf(s, shard);
    if (shard->bytes < LENGTH_BYTES)
        return status_fail(ERR_INPUT, "%s: %zu bytes are too short for a file of weights; download it again",
                           shard->path, shard->bytes);
    const uint64_t length = header_length(shard);
    if (length > MAX_HEADER && shard->map[0] == '{')
        return status_fail(
            ERR_INPUT,
            "%s: a JSON text, not the weights; of a model in several files give the folder, and write an "
            "adapter in several files as one",
            shard->path);
    if (length > MAX_HEADER)
        return status_fail(
            ERR_INPUT, "%s: no safetensors file: its header would be %" PRIu64 " bytes long, expected at most %" PRIu64,
            shard->path, length, MAX_HEADER);
    if (length > shard->bytes - LENGTH_BYTES)
        return status_fail(ERR_INPUT,
                           "%s: the header says it is %" PRIu64 " bytes long, but the file has %zu: truncated?",
                           shard->path, length, shard->bytes);
    json_error_t error;
    json_t *header =
        json_loadb((const char *)shard->map + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(header)) {
        Status status =
            header ? status_fail(ERR_INPUT, "%s: the header is no JSON object", shard->path)
                   : status_fail(ERR_INPUT, "%s: header, byte %d: %s", shard->path, error.position, error.text);
        json_decref(header);
        return status;
    }
    Status status = add_tensors(s, shard, LENGTH_BYTES + (size_t)length, header);
    json_decref(header);
    return status;
}
