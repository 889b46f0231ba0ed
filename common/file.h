/* file.h - files that are whole or not there: written beside their place, fsynced, renamed, the folder fsynced. */
#ifndef REELWRIGHT_FILE_H
#define REELWRIGHT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/status.h"

/* "a/b" in newly allocated memory (free() it); b alone when b is absolute or a is empty. Aborts when out of memory. */
char *path_join(const char *a, const char *b);
char *path_folder(const char *path);     /* "a/b" -> "a", "b" -> "."; free() it */
const char *path_name(const char *path); /* the part after the last slash */
char *text_format(const char *fmt, ...)
    __attribute__((format(printf, 1, 2))); /* like asprintf; aborts when out of memory */
/* How many bytes of the text fit into so many, without a piece of a UTF-8 character at the end. */
size_t text_fits(const char *text, size_t bytes);
char *text_copy(const char *text);    /* strdup that aborts when out of memory */
bool text_is_blank(const char *text); /* nothing but spaces, tabs and line breaks */
int text_letters(const char *text);   /* characters, not bytes, of UTF-8 */
/* calloc that aborts when out of memory: for small things only, a name, a struct, a list of rows. Linux refuses those when the
 * process is as good as dead; an abort is a death like any other, which the farm takes (the ledger and every file are whole at
 * each moment, DESIGN 5), while a Status from each of them would be a thousand paths that no night ever walks. What is large
 * (tensors, files, messages) is asked for with malloc and refused with a Status. */
void *memory_get(size_t count, size_t size);
void *memory_resize(void *old, size_t count, size_t size); /* realloc likewise; what is new holds anything */

/* What is large: calloc, or NULL. */
void *memory_large(size_t count, size_t size);
Status memory_refused(size_t count, size_t size); /* ERR_NODE: "out of memory: 12.4 MB were wanted" */
/* p = so many zeroes of its kind, or this function returns the refusal (goes to `out` with it). */
#define TRY_MEMORY(p, count)                                                                                           \
    do {                                                                                                               \
        (p) = memory_large((size_t)(count), sizeof *(p));                                                              \
        if (!(p)) return memory_refused((size_t)(count), sizeof *(p));                                                 \
    } while (0)
#define TRY_MEMORY_OUT(p, count)                                                                                       \
    do {                                                                                                               \
        (p) = memory_large((size_t)(count), sizeof *(p));                                                              \
        if (!(p)) TRY_OUT(memory_refused((size_t)(count), sizeof *(p)));                                               \
    } while (0)

bool file_exists(const char *path);
bool file_is_folder(const char *path);
Status file_size(const char *path, int64_t *bytes);
Status file_make_folders(const char *path); /* mkdir -p */
/* ERR_INPUT when the file system of this folder has less room than that: better known before the work than after it. */
Status file_check_space(const char *folder, int64_t least_bytes);
/* False when not so many bytes can be written to this folder's file system, by this user. */
bool file_has_room(const char *folder, int64_t bytes);
/* ERR_FATAL when this process may not write to a folder that is there: its file system is read-only, or it lacks the right. */
Status file_check_writable(const char *folder);
/* Opens a regular file for reading, close() it. ERR_INPUT: missing, or something else (a pipe, which would wait for a writer for ever;
 * a device, whose end never comes; a folder), said in the message, which begins with the path. */
Status file_open(const char *path, int *fd);
Status file_open_stream(const char *path, FILE **f); /* the same, fclose() it */
Status file_check_regular(const char *path);         /* the same, for libraries that open files themselves */
/* The whole file with a 0 byte after it (free() it); ERR_INPUT when it is missing or larger than max_bytes. */
Status file_read(const char *path, size_t max_bytes, char **data, size_t *bytes);

/* Where something lands that is published under this name: behind a symbolic link, which stays one, at its target; free() it.
 * ERR_INPUT: a folder, a device or a pipe stands there, in whose place no file may come, or a link that leads nowhere. */
Status file_target(const char *path, char **target);
/* The name to write to before file_publish(path): in the same folder, unique to this process, also among machines that share the
 * folder; free() it. */
char *file_draft(const char *path);
/* fsync draft, rename it to path's target, fsync the folder. On failure the draft is removed and path is as it was. */
Status file_publish(const char *draft, const char *path);
/* The same, but a file that is there already stays: of two processes that make it at once, the first one's holds. The draft is gone.
 * On a file system with neither links nor renames that replace nothing that is so for the processes of one machine. */
Status file_publish_new(const char *draft, const char *path);
/* file_publish for many files of one file system, synced together: a thousand small files take two fsyncs instead of two
 * thousand. On failure what was not renamed yet is removed; what was stays, whole. */
Status file_publish_all(char *const *draft, char *const *path, int count);
/* What was renamed within this folder stays so after a power failure. */
Status file_sync_folder(const char *folder);
/* Removes a folder and what is in it, as far as that can be; links in it are removed, not followed. Harmless when it is not there. */
void file_remove_tree(const char *folder);
/* ERR_INPUT: no file can be written there. To be asked before work that takes long. */
Status file_check_place(const char *path);
/* draft, write and publish in one: these bytes, or what `put` writes. What was there stays when that fails. */
Status file_replace(const char *path, const void *data, size_t bytes);
Status file_write(const char *path, Status (*put)(FILE *f, void *self), void *self);
/* path becomes another name (hard link) of from, or a copy where links are not possible; published like the rest. */
Status file_duplicate(const char *from, const char *path);

#endif
