#include "shot_file.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Runs of digits by the number that they are, all else by bytes (not strcoll: the same order on every machine). */
static int compare_natural(const char *a, const char *b)
{
    while (*a && *b) {
        if (!is_digit(*a) || !is_digit(*b)) {
            if (*a != *b) return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
            a++, b++;
            continue;
        }
        while (*a == '0') a++;
        while (*b == '0') b++;
        size_t n = 0, m = 0;
        while (is_digit(a[n])) n++;
        while (is_digit(b[m])) m++;
        const int order = n != m ? (n < m ? -1 : 1) : memcmp(a, b, n);
        if (order) return order;
        a += n;
        b += m;
    }
    return *a ? 1 : *b ? -1 : 0;
}

static int compare_names(const void *a, const void *b)
{
    const char *one = *(char *const *)a, *other = *(char *const *)b;
    const int order = compare_natural(one, other);
    return order ? order : strcmp(one, other); /* "1" and "01" */
}

/* What file managers leave in folders. */
static bool is_litter(const char *name)
{
    return name[0] == '.' || strcasecmp(name, "Thumbs.db") == 0 || strcasecmp(name, "desktop.ini") == 0 ||
           strcmp(name, "__MACOSX") == 0;
}

Status shot_file_names(const char *folder, char ***name, int *count)
{
    int room = 0;
    *name = NULL;
    *count = 0;
    DIR *d = opendir(folder);
    if (!d) return status_errno(ERR_INPUT, "%s: cannot be read", folder);
    for (struct dirent *e; (e = readdir(d));) {
        if (is_litter(e->d_name)) continue;
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
