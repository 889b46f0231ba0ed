/* folders.c - the campaigns' folders that use a store, so that what a person takes back reaches what was made. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "trust/inside.h"

static Status make_place(const TrustStore *s)
{
    char *place = trust_path(s, "folders");
    Status status =
        mkdir(place, 0700) != 0 && errno != EEXIST ? status_errno(ERR_NODE, "cannot make %s", place) : status_ok();
    free(place);
    return status;
}

Status trust_note_folder(TrustStore *s, const char *folder)
{
    char real[PATH_MAX], hash[HASH_TEXT];
    if (!realpath(folder, real)) return status_errno(ERR_INPUT, "%s", folder);
    hash_bytes(real, strlen(real), hash);
    char *path = trust_path(s, "folders/%s", hash);
    Status status = status_ok();
    if (!file_exists(path)) {
        status = make_place(s);
        if (!failed(status)) status = trust_publish(path, real, strlen(real));
    }
    free(path);
    return status;
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* A name that is not the hash of what is inside was put there by somebody else. */
static char *read_one(const TrustStore *s, const char *name)
{
    char hash[HASH_TEXT], *path = trust_path(s, "folders/%s", name), *text = NULL;
    size_t bytes = 0;
    Status status = file_read(path, PATH_MAX, &text, &bytes);
    free(path);
    if (!failed(status)) hash_bytes(text, bytes, hash);
    if (!failed(status) && strcmp(hash, name) == 0 && strlen(text) == bytes) return text;
    free(text);
    return NULL;
}

Status trust_read_folders(TrustStore *s, char ***folder, int *count)
{
    char *place = trust_path(s, "folders");
    DIR *d = opendir(place);
    int room = 0;
    *folder = NULL;
    *count = 0;
    Status status = d || errno == ENOENT ? status_ok() : status_errno(ERR_NODE, "%s", place);
    for (struct dirent *e; d && (e = readdir(d));) {
        char *one = strlen(e->d_name) == HASH_TEXT - 1 ? read_one(s, e->d_name) : NULL;
        if (!one) continue;
        if (*count == room) *folder = memory_resize(*folder, (size_t)(room = 2 * room + 16), sizeof **folder);
        (*folder)[(*count)++] = one;
    }
    if (d) closedir(d);
    if (*count) qsort(*folder, (size_t)*count, sizeof **folder, compare);
    free(place);
    return status;
}
