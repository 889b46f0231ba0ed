#include "shot_file.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b); /* not strcoll: the same order on every machine */
}

Status shot_file_names(const char *folder, char ***name, int *count)
{
    int room = 0;
    *name = NULL;
    *count = 0;
    DIR *d = opendir(folder);
    if (!d) return status_errno(ERR_INPUT, "%s: cannot be read", folder);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        if (*count == room) {
            room = 2 * room + 64;
            *name = memory_resize(*name, (size_t)room, sizeof **name);
        }
        (*name)[(*count)++] = text_copy(e->d_name);
    }
    closedir(d);
    if (*count) qsort(*name, (size_t)*count, sizeof **name, compare_names);
    return status_ok();
}

void shot_file_names_free(char **name, int count)
{
    for (int i = 0; i < count; i++) free(name[i]);
    free(name);
}

/* Never opens what is no file: reading a pipe would wait for ever. */
static Status hash_regular(const char *path, char sha256[HASH_TEXT])
{
    struct stat s;
    if (stat(path, &s) != 0) return status_errno(ERR_INPUT, "%s: cannot be read", path);
    if (!S_ISREG(s.st_mode)) return status_fail(ERR_INPUT, "%s: no file", path);
    return hash_file(path, sha256);
}

static Status hash_folder(const char *folder, char sha256[HASH_TEXT])
{
    char **name, one[HASH_TEXT] = "";
    int count;
    TRY(shot_file_names(folder, &name, &count));
    Status status = status_ok();
    Hash *h = hash_begin();
    for (int i = 0; i < count && !failed(status); i++) {
        char *path = path_join(folder, name[i]);
        status = hash_regular(path, one);
        hash_add_field(h, "name", "%s", name[i]);
        hash_add_field(h, "sha256", "%s", one);
        free(path);
    }
    hash_end(h, sha256);
    shot_file_names_free(name, count);
    return status;
}

Status shot_file_hash(const char *path, char sha256[HASH_TEXT])
{
    return file_is_folder(path) ? hash_folder(path, sha256) : hash_regular(path, sha256);
}
