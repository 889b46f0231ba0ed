#include "safetensors.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "engine/weights/gguf.h"

enum { LENGTH_BYTES = 8, MAX_SHARDS = 1000, MAX_DIM = TENSOR_MAX_DIM + 3 };
static const uint64_t MAX_HEADER = 100u << 20; /* the format's own limit */
static const size_t MAX_INDEX = 64u << 20;

typedef struct {
    char *path;
    const unsigned char *map;
    size_t bytes;
    bool mapped; /* by us */
} Shard;

struct Safetensors {
    int shard_count;
    Shard *shard;
    int count;
    StoredTensor *tensor; /* sorted by name; they own their names */
    json_t *metadata;     /* of the first file that has some, or NULL */
};

static const struct {
    const char *name;
    StoredType type;
    size_t bits;
} stored_types[] = {
    {"F32", STORED_F32, 32},   {"BF16", STORED_BF16, 16}, {"F16", STORED_F16, 16},        {"I64", STORED_I64, 64},
    {"F64", STORED_OTHER, 64}, {"I32", STORED_OTHER, 32}, {"I16", STORED_OTHER, 16},      {"I8", STORED_OTHER, 8},
    {"U8", STORED_OTHER, 8},   {"BOOL", STORED_OTHER, 8}, {"U16", STORED_OTHER, 16},      {"U32", STORED_OTHER, 32},
    {"U64", STORED_OTHER, 64}, {"F8_E4M3", STORED_F8, 8}, {"F8_E5M2", STORED_F8_E5M2, 8},
};

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

static int by_name(const void *a, const void *b)
{
    return strcmp(((const StoredTensor *)a)->name, ((const StoredTensor *)b)->name);
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
        t->name = text_copy(name);
        s->count++;
    }
    return check_tiling(shard, data_start, s->tensor + first, s->count - first);
}

/* PyTorch's own files are programs that make tensors: reading them means running them. */
#define PYTORCH                                                                                                        \
    "a PyTorch file, which is a program and not read; take the same weights as safetensors, or write them so: "        \
    "python3 -c 'import sys, torch; from safetensors.torch import save_file; w = torch.load(sys.argv[1], "             \
    "map_location=\"cpu\", weights_only=True); save_file({k: t.contiguous() for k, t in w.items()}, sys.argv[2])' "    \
    "FILE.pth FILE.safetensors"

/* What often stands in the place of weights. NULL: none of them. */
static const char *other_kind(const Shard *s)
{
    static const struct {
        const char *begins, *kind;
    } row[] = {{"version https://git-lfs", "a Git LFS pointer, not the weights; `git lfs pull` fetches them"},
               {"<!DOCTYPE", "a web page, not the weights; download the file again"},
               {"<!doctype", "a web page, not the weights; download the file again"},
               {"<html", "a web page, not the weights; download the file again"},
               {"{\"error", "a server's error message, not the weights; download the file again"},
               {"PK\3\4", PYTORCH},
               {"\x80\2", PYTORCH}};
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
    char *own = memory_get(bytes + 1, 1);
    memcpy(own, name, bytes);
    s->tensor[s->count] = *t;
    s->tensor[s->count].name = own;
    s->tensor[s->count++].file = to->shard->path;
    return status_ok();
}

static Status read_gguf(Safetensors *s, const Shard *shard)
{
    GgufTarget to = {s, shard};
    if (s->count > 0) return status_fail(ERR_INPUT, "%s: a GGUF file among shards", shard->path);
    return status_at(gguf_read(shard->map, shard->bytes, (GgufSink){put_gguf, &to}), "%s", shard->path);
}

static Status read_header(Safetensors *s, const Shard *shard)
{
    const char *other = other_kind(shard);
    if (other) return status_fail(ERR_INPUT, "%s: %s", shard->path, other);
    if (shard->bytes == 0) return status_fail(ERR_INPUT, "%s: empty; download the file again", shard->path);
    if (gguf_is(shard->map, shard->bytes)) return read_gguf(s, shard);
    if (shard->bytes < LENGTH_BYTES)
        return status_fail(ERR_INPUT, "%s: %zu bytes are too short for a file of weights; download it again",
                           shard->path, shard->bytes);
    uint64_t length = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | shard->map[i];
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

static Status map_file(const char *path, Shard *shard)
{
    Status status = status_ok();
    shard->path = text_copy(path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return status_errno(ERR_INPUT, "%s", path);
    struct stat st;
    if (fstat(fd, &st) != 0) {
        status = status_errno(ERR_INPUT, "%s", path);
    } else if (!S_ISREG(st.st_mode)) {
        status = status_fail(ERR_INPUT, "%s: no regular file%s", path,
                             S_ISDIR(st.st_mode) ? ", but a folder; expected a file of weights" : "");
    } else if (st.st_size > 0) { /* an empty file cannot be mapped and fails in read_header */
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            status = status_errno(ERR_NODE, "map %s", path);
        } else {
            *shard = (Shard){shard->path, map, (size_t)st.st_size, true};
        }
    }
    close(fd);
    return status;
}

/* ---- opening --------------------------------------------------------------------------------------------------------- */

static Status finish_open(Safetensors *s)
{
    if (s->count) qsort(s->tensor, (size_t)s->count, sizeof *s->tensor, by_name);
    for (int i = 1; i < s->count; i++)
        if (strcmp(s->tensor[i - 1].name, s->tensor[i].name) == 0)
            return status_fail(ERR_INPUT, "%s: tensor \"%s\" is in %s too", s->tensor[i].file, s->tensor[i].name,
                               path_name(s->tensor[i - 1].file));
    return status_ok();
}

static Status open_shards(Safetensors *s, const char *const *path, int count)
{
    s->shard = memory_get((size_t)count, sizeof *s->shard);
    for (int i = 0; i < count; i++) {
        s->shard_count++;
        TRY(map_file(path[i], &s->shard[i]));
        TRY(read_header(s, &s->shard[i]));
    }
    return finish_open(s);
}

Status safetensors_open_file(const char *path, Safetensors **out)
{
    Safetensors *s = memory_get(1, sizeof *s);
    Status status = open_shards(s, &path, 1);
    if (failed(status)) safetensors_close(&s);
    *out = s;
    return status;
}

Status safetensors_open_memory(const char *name, const void *data, size_t bytes, Safetensors **out)
{
    Safetensors *s = memory_get(1, sizeof *s);
    s->shard = memory_get(1, sizeof *s->shard);
    s->shard_count = 1;
    s->shard[0] = (Shard){text_copy(name), data, bytes, false};
    Status status = read_header(s, &s->shard[0]);
    if (!failed(status)) status = finish_open(s);
    if (failed(status)) safetensors_close(&s);
    *out = s;
    return status;
}

/* The different shard names of an index's weight_map, in order of appearance. */
static Status list_shards(const char *index, json_t *root, const char *name[MAX_SHARDS], int *count)
{
    json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map)) return status_fail(ERR_INPUT, "%s: weight_map is missing", index);
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value)
    {
        const char *file = json_string_value(value);
        if (!file || !*file || strchr(file, '/'))
            return status_fail(ERR_INPUT, "%s: weight_map[\"%.200s\"] is no file name of this folder", index, tensor);
        int i = 0;
        while (i < *count && strcmp(name[i], file) != 0) i++;
        if (i < *count) continue;
        if (*count == MAX_SHARDS) return status_fail(ERR_INPUT, "%s: more than %d shards", index, MAX_SHARDS);
        name[(*count)++] = file;
    }
    return status_ok();
}

/* Every tensor of the index is in the shard that the index names. */
static Status check_index(const char *index, json_t *root, const Safetensors *s)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(json_object_get(root, "weight_map"), tensor, value)
    {
        const StoredTensor *t = safetensors_find(s, tensor);
        if (!t || strcmp(path_name(t->file), json_string_value(value)) != 0)
            return status_fail(ERR_INPUT, "%s: tensor \"%.200s\" is not in %s", index, tensor,
                               json_string_value(value));
    }
    return status_ok();
}

static Status open_index(const char *folder, const char *index, Safetensors *s)
{
    Status status = status_ok();
    char *text = NULL, *path[MAX_SHARDS] = {0};
    const char *name[MAX_SHARDS];
    int count = 0, paths = 0;
    size_t bytes = 0;
    json_error_t error;
    json_t *root = NULL;
    TRY_OUT(file_read(index, MAX_INDEX, &text, &bytes));
    root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!root) TRY_OUT(status_fail(ERR_INPUT, "%s:%d: %s", index, error.line, error.text));
    TRY_OUT(list_shards(index, root, name, &count));
    for (; paths < count; paths++) path[paths] = path_join(folder, name[paths]);
    TRY_OUT(open_shards(s, (const char *const *)path, count));
    TRY_OUT(check_index(index, root, s));
out:
    while (paths > 0) free(path[--paths]);
    json_decref(root);
    free(text);
    return status;
}

static bool is_weight_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && name[0] != '.' && (strcmp(dot, ".safetensors") == 0 || strcmp(dot, ".gguf") == 0);
}

static bool is_pytorch_name(const char *name)
{
    static const char *const end[] = {".pth", ".pt", ".bin", ".ckpt"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof end / sizeof *end; i++)
        if (strcmp(dot, end[i]) == 0) return true;
    return false;
}

typedef struct {   /* what a folder holds */
    char *weights; /* the only file of weights */
    bool many;     /* there are several */
    char *pytorch; /* one that is not read */
} OnlyFile;

static OnlyFile find_only_file(const char *folder)
{
    OnlyFile o = {0};
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (is_pytorch_name(e->d_name) && !o.pytorch) o.pytorch = path_join(folder, e->d_name);
        if (!is_weight_name(e->d_name)) continue;
        o.many = o.many || o.weights;
        if (!o.weights) o.weights = path_join(folder, e->d_name);
    }
    if (dir) closedir(dir);
    return o;
}

static Status open_only_file(const char *folder, const char *single, Safetensors **out)
{
    OnlyFile o = find_only_file(folder);
    Status status;
    if (o.weights && !o.many)
        status = safetensors_open_file(o.weights, out);
    else if (!o.weights && o.pytorch)
        status = status_fail(ERR_INPUT, "%s: %s", o.pytorch, PYTORCH);
    else
        status = status_fail(ERR_INPUT, "%s: neither this file nor its index (.index.json) is there%s", single,
                             o.many ? ", and several other files of weights: leave one of them there" : "");
    free(o.weights);
    free(o.pytorch);
    return status;
}

Status safetensors_open_folder(const char *folder, const char *stem, Safetensors **out)
{
    char *single = text_format("%s/%s.safetensors", folder, stem);
    char *index = text_format("%s.index.json", single);
    Status status = status_ok();
    *out = NULL;
    if (file_exists(single)) {
        status = safetensors_open_file(single, out);
    } else if (file_exists(index)) {
        Safetensors *s = memory_get(1, sizeof *s);
        status = open_index(folder, index, s);
        if (failed(status)) safetensors_close(&s);
        *out = s;
    } else {
        status = open_only_file(folder, single, out);
    }
    free(single);
    free(index);
    return status;
}

void safetensors_close(Safetensors **s)
{
    if (!*s) return;
    for (int i = 0; i < (*s)->shard_count; i++) {
        Shard *shard = &(*s)->shard[i];
        if (shard->mapped) munmap((void *)shard->map, shard->bytes);
        free(shard->path);
    }
    for (int i = 0; i < (*s)->count; i++) free((char *)(*s)->tensor[i].name);
    json_decref((*s)->metadata);
    free((*s)->tensor);
    free((*s)->shard);
    free(*s);
    *s = NULL;
}

const char *safetensors_metadata(const Safetensors *s, const char *key)
{
    return json_string_value(json_object_get(s->metadata, key));
}

int safetensors_count(const Safetensors *s) { return s->count; }

const StoredTensor *safetensors_at(const Safetensors *s, int i) { return &s->tensor[i]; }

const StoredTensor *safetensors_find(const Safetensors *s, const char *name)
{
    if (s->count == 0) return NULL;
    StoredTensor key = {.name = name};
    return bsearch(&key, s->tensor, (size_t)s->count, sizeof key, by_name);
}

void safetensors_forget(const Safetensors *s, const StoredTensor *t)
{
    for (int i = 0; i < s->shard_count; i++) {
        if (s->shard[i].path != t->file || !s->shard[i].mapped) continue;
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        uintptr_t begin = (uintptr_t)t->data & ~(page - 1), end = ((uintptr_t)t->data + t->bytes) & ~(page - 1);
        if (end > begin) madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
}

int64_t safetensors_bytes(const Safetensors *s)
{
    int64_t bytes = 0;
    for (int i = 0; i < s->count; i++) bytes += (int64_t)s->tensor[i].bytes;
    return bytes;
}
