/* safetensors_parts.h - between the files behind safetensors.h:
 *
 *     safetensors_read.c   one file: its header, and where its tensors lie
 *     safetensors.c        which files: one, shards with an index, the only one of a folder */
#ifndef REELWRIGHT_SAFETENSORS_PARTS_H
#define REELWRIGHT_SAFETENSORS_PARTS_H

#include <jansson.h>

#include "engine/weights/safetensors.h"

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

/* PyTorch's own files are programs that make tensors: reading them means running them. */
#define SAFETENSORS_PYTORCH                                                                                            \
    "a PyTorch file, which is a program and not read; take the same weights as safetensors, or write them so: "        \
    "python3 -c 'import sys, torch; from safetensors.torch import save_file; w = torch.load(sys.argv[1], "             \
    "map_location=\"cpu\", weights_only=True); save_file({k: t.contiguous() for k, t in w.items()}, sys.argv[2])' "    \
    "FILE.pth FILE.safetensors"

/* Appends the file's tensors, in the order of their places. */
Status safetensors_read_shard(Safetensors *s, const Shard *shard);
/* A tensor's name without what PyTorch's compiler ("_orig_mod.") and its trainers on several devices ("module.") put into it; free() it. */
char *safetensors_plain_name(const char *name);

#endif
