/* safetensors.h - weight files in the safetensors format: one file, or shards with an index. Read-only, memory mapped. A GGUF file
 * (gguf.h) is opened in the same way and gives tensors of the same kind.
 *
 * A file is an 8-byte little-endian header length, a JSON header {"name": {"dtype", "shape", "data_offsets": [begin, end]}}
 * and the bytes (https://github.com/huggingface/safetensors, "Format"). Nothing in it is believed: the tensors must tile
 * the bytes exactly (no gap, no overlap), lengths must follow from shape and type, names must differ.
 *
 * Failures are ERR_INPUT and name file and tensor. Opening reads headers only. */
#ifndef REELWRIGHT_SAFETENSORS_H
#define REELWRIGHT_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"
#include "engine/weights/stored.h"

typedef struct Safetensors Safetensors;

/* FOLDER/STEM.safetensors, or FOLDER/STEM.safetensors.index.json and its shards, or else the only file in FOLDER whose name ends in
 * .safetensors or .gguf, whatever it is called. */
Status safetensors_open_folder(const char *folder, const char *stem, Safetensors **out);
Status safetensors_open_file(const char *path, Safetensors **out);
/* The header and layout of bytes in memory, which stay the caller's; name is for messages. */
Status safetensors_open_memory(const char *name, const void *data, size_t bytes, Safetensors **out);
void safetensors_close(Safetensors **s);

int safetensors_count(const Safetensors *s);
const StoredTensor *safetensors_at(const Safetensors *s, int i);              /* in the order of their names */
const StoredTensor *safetensors_find(const Safetensors *s, const char *name); /* NULL = not there */
/* The tensor was copied: its pages need not stay in memory. */
void safetensors_forget(const Safetensors *s, const StoredTensor *t);
int64_t safetensors_bytes(const Safetensors *s); /* of all tensors */
/* A text of the file's own, of a single file's header; NULL = not there. Borrowed. */
const char *safetensors_metadata(const Safetensors *s, const char *key);

#endif
