#include "gguf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

enum { MOST_TENSORS = 1 << 16, MOST_KEYS = 1 << 16, MOST_NAME = 256, GGUF_DIMS = 4 };

typedef enum { VALUE_TEXT = 8, VALUE_LIST = 9, VALUE_KINDS = 13 } ValueKind;

static const struct {
    const char *name;
    StoredType type;
} ggml_types[] = {[0] = {"F32", STORED_F32},    [1] = {"F16", STORED_F16},    [2] = {"Q4_0", STORED_Q4_0},
                  [3] = {"Q4_1", STORED_Q4_1},  [6] = {"Q5_0", STORED_Q5_0},  [7] = {"Q5_1", STORED_Q5_1},
                  [8] = {"Q8_0", STORED_Q8_0},  [10] = {"Q2_K", STORED_Q2_K}, [11] = {"Q3_K", STORED_Q3_K},
                  [12] = {"Q4_K", STORED_Q4_K}, [13] = {"Q5_K", STORED_Q5_K}, [14] = {"Q6_K", STORED_Q6_K},
                  [27] = {"I64", STORED_I64},   [28] = {"F64", STORED_F64},   [30] = {"BF16", STORED_BF16}};
enum { GGML_TYPES = (int)(sizeof ggml_types / sizeof *ggml_types) };

typedef struct {
    const uint8_t *at, *end;
    bool cut; /* something was to be read beyond the end */
} Reader;

typedef struct { /* a shape that stands among the keys */
    const char *name;
    size_t name_bytes;
    int ndim;
    int64_t dim[TENSOR_MAX_DIM];
} KeptShape;

typedef struct {
    Reader r;
    uint64_t alignment;
    KeptShape *shape;
    int shapes, room;
} Header;

/* ---- bytes ---- */

static const void *take(Reader *r, uint64_t bytes)
{
    const uint8_t *p = r->at;
    if (r->cut || bytes > (uint64_t)(r->end - r->at)) {
        r->cut = true;
        return NULL;
    }
    r->at += bytes;
    return p;
}

static uint64_t number(Reader *r, size_t bytes)
{
    const uint8_t *p = take(r, bytes);
    uint64_t v = 0;
    for (size_t i = 0; p && i < bytes; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static const char *text(Reader *r, size_t *bytes)
{
    const uint64_t n = number(r, 8);
    const char *p = take(r, n);
    *bytes = p ? (size_t)n : 0;
    return p;
}

static size_t value_bytes(uint64_t kind)
{
    static const size_t bytes[VALUE_KINDS] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return kind < VALUE_KINDS ? bytes[kind] : 0;
}

/* ---- keys ---- */

static Status bad_value(uint64_t kind) { return status_fail(ERR_INPUT, "a value of unknown type %" PRIu64, kind); }

static Status skip_list(Reader *r)
{
    const uint64_t kind = number(r, 4), count = number(r, 8);
    size_t bytes;
    if (kind == VALUE_TEXT) {
        for (uint64_t i = 0; i < count && !r->cut; i++) text(r, &bytes);
        return status_ok();
    }
    bytes = value_bytes(kind);
    if (!bytes) return bad_value(kind);
    if (count > SIZE_MAX / bytes) r->cut = true;
    take(r, count * bytes);
    return status_ok();
}

static bool begins(const char *name, size_t bytes, const char *with)
{
    return bytes >= strlen(with) && memcmp(name, with, strlen(with)) == 0;
}

/* A list of whole numbers, outermost first. */
static Status keep_shape(Header *h, const char *name, size_t bytes)
{
    const uint64_t kind = number(&h->r, 4), count = number(&h->r, 8);
    const size_t each = value_bytes(kind);
    KeptShape s = {.name = name, .name_bytes = bytes};
    if (!each || count < 1 || count > TENSOR_MAX_DIM)
        return status_fail(ERR_INPUT, "the shape of \"%.*s\" is no list of 1 to %d whole numbers", (int)bytes, name,
                           TENSOR_MAX_DIM);
    for (uint64_t i = 0; i < count; i++) s.dim[s.ndim++] = (int64_t)(number(&h->r, each) & INT32_MAX);
    if (h->shapes == h->room) {
        h->room = 2 * h->room + 8;
        h->shape = memory_resize(h->shape, (size_t)h->room, sizeof *h->shape);
    }
    h->shape[h->shapes++] = s;
    return status_ok();
}

static Status read_key(Header *h)
{
    static const char shape_prefix[] = "comfy.gguf.orig_shape.";
    size_t bytes, n;
    const char *key = text(&h->r, &bytes);
    const uint64_t kind = number(&h->r, 4);
    if (h->r.cut) return status_ok(); /* said by the caller */
    if (kind == VALUE_LIST && begins(key, bytes, shape_prefix) && bytes - strlen(shape_prefix) <= MOST_NAME)
        return keep_shape(h, key + strlen(shape_prefix), bytes - strlen(shape_prefix));
    if (kind == VALUE_LIST) return skip_list(&h->r);
    if (kind == VALUE_TEXT) {
        text(&h->r, &n);
        return status_ok();
    }
    if (!value_bytes(kind)) return bad_value(kind);
    const uint64_t value = number(&h->r, value_bytes(kind));
    if (bytes == strlen("general.alignment") && begins(key, bytes, "general.alignment")) h->alignment = value;
    return status_ok();
}

/* ---- tensors ---- */

static Status read_dims(Reader *r, StoredTensor *t)
{
    const uint64_t ndim = number(r, 4);
    if (ndim < 1 || ndim > GGUF_DIMS)
        return status_fail(ERR_INPUT, "%" PRIu64 " dimensions, expected 1 to %d", ndim, GGUF_DIMS);
    t->ndim = (int)ndim;
    int64_t count = 1;
    for (int i = t->ndim - 1; i >= 0; i--) { /* innermost first in the file */
        const uint64_t n = number(r, 8);
        if (n < 1 || n > INT32_MAX || count > INT64_MAX / 64 / (int64_t)n)
            return status_fail(ERR_INPUT, "a dimension of %" PRIu64 " numbers", n);
        t->dim[i] = (int64_t)n;
        count *= (int64_t)n;
    }
    return status_ok();
}

static Status take_kept_shape(const Header *h, const char *name, size_t bytes, StoredTensor *t)
{
    for (int i = 0; i < h->shapes; i++) {
        const KeptShape *s = &h->shape[i];
        if (s->name_bytes != bytes || memcmp(s->name, name, bytes) != 0) continue;
        StoredTensor kept = *t;
        kept.ndim = s->ndim;
        for (int k = 0; k < s->ndim; k++) kept.dim[k] = s->dim[k];
        if (stored_count(&kept) != stored_count(t))
            return status_fail(ERR_INPUT, "its kept shape has another number of numbers");
        *t = kept;
    }
    return status_ok();
}

static Status read_tensor(Header *h, const uint8_t *data, uint64_t room, StoredTensor *t, const char *name,
                          size_t bytes)
{
    int64_t numbers;
    size_t each;
    TRY(read_dims(&h->r, t));
    const uint64_t kind = number(&h->r, 4), offset = number(&h->r, 8);
    if (h->r.cut) return status_fail(ERR_INPUT, "the file ends in it");
    if (kind >= GGML_TYPES || !ggml_types[kind].name)
        return status_fail(ERR_INPUT,
                           "ggml's type %" PRIu64 "; expected F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, "
                           "Q2_K, Q3_K, Q4_K, Q5_K or Q6_K",
                           kind);
    t->type = ggml_types[kind].type;
    t->type_name = ggml_types[kind].name;
    stored_block(t->type, &numbers, &each);
    if (t->dim[t->ndim - 1] % numbers)
        return status_fail(ERR_INPUT, "rows of %" PRId64 " numbers in blocks of %" PRId64, t->dim[t->ndim - 1],
                           numbers);
    t->bytes = (size_t)(stored_count(t) / numbers) * each;
    if (offset > room || t->bytes > room - offset)
        return status_fail(ERR_INPUT, "its %zu bytes do not lie inside the file: truncated?", t->bytes);
    t->data = data + offset;
    return take_kept_shape(h, name, bytes, t);
}

/* The tensors' bytes begin behind the table, so it is read twice: once for its length. */
static Status skip_tensors(Reader *r, uint64_t count)
{
    size_t bytes;
    for (uint64_t i = 0; i < count && !r->cut; i++) {
        text(r, &bytes);
        const uint64_t ndim = number(r, 4);
        if (ndim > GGUF_DIMS) return status_fail(ERR_INPUT, "a tensor of %" PRIu64 " dimensions", ndim);
        take(r, ndim * 8 + 4 + 8);
    }
    return status_ok();
}

static Status read_all(Header *h, const uint8_t *begin, GgufSink sink)
{
    take(&h->r, 4);
    const uint64_t version = number(&h->r, 4), tensors = number(&h->r, 8), keys = number(&h->r, 8);
    if (version < 2 || version > 3) return status_fail(ERR_INPUT, "GGUF version %" PRIu64 ", expected 2 or 3", version);
    if (tensors > MOST_TENSORS || keys > MOST_KEYS)
        return status_fail(ERR_INPUT, "%" PRIu64 " tensors and %" PRIu64 " keys, expected at most %d of each", tensors,
                           keys, MOST_TENSORS);
    for (uint64_t i = 0; i < keys && !h->r.cut; i++) TRY(read_key(h));
    Reader table = h->r;
    TRY(skip_tensors(&h->r, tensors));
    if (h->r.cut) return status_fail(ERR_INPUT, "the header ends in the middle: truncated?");
    if (h->alignment < 1 || h->alignment > 1 << 20)
        return status_fail(ERR_INPUT, "general.alignment = %" PRIu64 ", expected 1 to 1048576", h->alignment);
    const uint64_t start = ((uint64_t)(h->r.at - begin) + h->alignment - 1) / h->alignment * h->alignment;
    const uint64_t all = (uint64_t)(h->r.end - begin);
    if (start > all && tensors > 0) return status_fail(ERR_INPUT, "no tensor's bytes are there: truncated?");
    h->r = table;
    for (uint64_t i = 0; i < tensors; i++) {
        size_t bytes;
        StoredTensor t = {0};
        const char *name = text(&h->r, &bytes);
        if (bytes > MOST_NAME) return status_fail(ERR_INPUT, "a tensor's name of %zu bytes", bytes);
        TRY(status_at(read_tensor(h, begin + start, all - start, &t, name, bytes), "tensor \"%.*s\"", (int)bytes,
                      name));
        TRY(sink.put(sink.self, name, bytes, &t));
    }
    return status_ok();
}

bool gguf_is(const void *data, size_t bytes) { return bytes >= 4 && memcmp(data, "GGUF", 4) == 0; }

Status gguf_read(const void *data, size_t bytes, GgufSink sink)
{
    Header h = {.r = {.at = data, .end = (const uint8_t *)data + bytes}, .alignment = 32};
    Status status = read_all(&h, data, sink);
    free(h.shape);
    return status;
}
