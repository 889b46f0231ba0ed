#include "model_config.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/hash_cache.h"

enum { MAX_FILES = 4096 };

static bool is_model_file(const char *name)
{
    static const char *const ends[] = {".json", ".safetensors", ".gguf", ".model"};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t e = strlen(ends[i]);
        if (name[0] != '.' && n > e && strcmp(name + n - e, ends[i]) == 0) return true;
    }
    return false;
}

static Status list_files(const char *folder, const char *component, char **name, int *count)
{
    char *path = path_join(folder, component);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (!is_model_file(e->d_name)) continue;
        if (*count == MAX_FILES) break;
        name[(*count)++] = path_join(component, e->d_name);
    }
    bool full = *count == MAX_FILES;
    if (dir) closedir(dir);
    Status status = full ? status_fail(ERR_INPUT, "%s: more than %d files", path, MAX_FILES) : status_ok();
    free(path);
    return status;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Over the names and the contents, in the order of the names; frees these. */
static Status hash_files(const char *folder, char **name, int count, char hash[HASH_TEXT])
{
    Status status = status_ok();
    Hash *h = hash_begin();
    HashCache *cache = hash_cache_open();
    qsort(name, (size_t)count, sizeof *name, by_text);
    for (int i = 0; i < count && !failed(status); i++) {
        char one[HASH_TEXT], *path = path_join(folder, name[i]);
        status = hash_cache_file(cache, path, one);
        free(path);
        if (!failed(status)) hash_add_field(h, name[i], "%s", one);
    }
    hash_end(h, hash);
    hash_cache_close(&cache);
    while (count > 0) free(name[--count]);
    return status;
}

Status model_config_hash_part(const char *folder, const char *part, char hash[HASH_TEXT])
{
    char **name = memory_get(MAX_FILES, sizeof *name);
    int count = 0;
    Status status = list_files(folder, part, name, &count);
    const Status hashed = hash_files(folder, name, count, hash);
    free(name);
    return failed(status) ? status : hashed;
}

Status model_config_hash(const char *folder, char hash[HASH_TEXT])
{
    static const char *const component[] = {"audio_encoder", "image_encoder", "image_processor",
                                            "scheduler",     "text_encoder",  "tokenizer",
                                            "transformer",   "transformer_2", "vae"};
    char **name = memory_get(MAX_FILES, sizeof *name);
    int count = 0;
    Status status = status_ok();
    name[count++] = text_copy("model_index.json");
    for (size_t i = 0; i < sizeof component / sizeof *component && !failed(status); i++)
        status = list_files(folder, component[i], name, &count);
    const Status hashed = hash_files(folder, name, count, hash);
    free(name);
    return failed(status) ? status : hashed;
}
