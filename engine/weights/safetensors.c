#include "safetensors_parts.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

enum { MAX_SHARDS = 1000 };
static const size_t MAX_INDEX = 64u << 20;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const StoredTensor *)a)->name, ((const StoredTensor *)b)->name);
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
    } else if (st.st_size > 0) { /* an empty file cannot be mapped and fails in safetensors_read_shard */
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
        TRY(safetensors_read_shard(s, &s->shard[i]));
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
    Status status = safetensors_read_shard(s, &s->shard[0]);
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
        char *name = safetensors_plain_name(tensor);
        const StoredTensor *t = safetensors_find(s, name);
        free(name);
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
        status = status_fail(ERR_INPUT, "%s: %s", o.pytorch, SAFETENSORS_PYTORCH);
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
