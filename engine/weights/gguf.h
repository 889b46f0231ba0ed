/* gguf.h - the header of a GGUF file, version 2 or 3 (ggml's docs/gguf.md): a table of keys, then of tensors, then their bytes.
 *
 * Nothing in it is believed: every length is compared with what is left, every tensor must lie inside the file and be as long as its
 * shape and type say. Dimensions are turned round, to be outermost first as in safetensors; a shape that the writer kept apart
 * (comfy.gguf.orig_shape.NAME, for convolutions) counts. */
#ifndef REELWRIGHT_GGUF_H
#define REELWRIGHT_GGUF_H

#include "engine/weights/stored.h"

bool gguf_is(const void *data, size_t bytes); /* by the first four */

typedef struct {
    /* Once for each tensor: name and data are valid as long as the file's bytes; the name is not ended by a 0 byte. */
    Status (*put)(void *self, const char *name, size_t name_bytes, const StoredTensor *t);
    void *self;
} GgufSink;

/* ERR_INPUT, without the file's name, says what is wrong. */
Status gguf_read(const void *data, size_t bytes, GgufSink sink);

#endif
