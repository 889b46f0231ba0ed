#include "looked.h"

#include <stdlib.h>

#include "common/file.h"
#include "common/hash.h"

enum { CACHE_BYTES = 64 << 20 };

static char *cache_file(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *folder = cache && *cache ? path_join(cache, "reelwright")
                   : home && *home ? path_join(home, ".cache/reelwright")
                                   : NULL;
    char *file = folder && !failed(file_make_folders(folder)) ? path_join(folder, "looked") : NULL;
    free(folder);
    return file;
}

void looked_recall(void (*see)(void *self, const char *key, int frames), void *self)
{
    char line[HASH_TEXT + 16], key[HASH_TEXT], *file = cache_file();
    FILE *f = file ? fopen(file, "re") : NULL;
    _Static_assert(HASH_TEXT == 65, "as many as sscanf reads");
    while (f && fgets(line, sizeof line, f)) {
        int frames = 0;
        if (sscanf(line, "%64s %d", key, &frames) >= 1) see(self, key, frames);
    }
    if (f) fclose(f);
    free(file);
}

FILE *looked_open(void)
{
    char *file = cache_file();
    int64_t bytes = 0;
    const bool full = file && !failed(file_size(file, &bytes)) && bytes > CACHE_BYTES;
    FILE *f = file ? fopen(file, full ? "we" : "ae") : NULL;
    free(file);
    return f;
}

void looked_add(FILE *f, const char *key, int frames)
{
    if (frames)
        fprintf(f, "%s %d\n", key, frames);
    else
        fprintf(f, "%s\n", key);
}
