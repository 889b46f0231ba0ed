/* adapter_parts.h - between the files behind adapter.h:
 *
 *     adapter_names.c   what a file has for a tensor, under whatever names its tool writes
 *     adapter.c         opening files, and holding them against the model
 *     adapter_merge.c   adding them to a weight */
#ifndef REELWRIGHT_ADAPTER_PARTS_H
#define REELWRIGHT_ADAPTER_PARTS_H

#include <jansson.h>

#include "engine/weights/adapter.h"
#include "engine/weights/names.h"
#include "kernels/ops.h"

typedef struct {
    Safetensors *file;
    char *identity; /* of the file as it was opened */
    double scale;
    bool *claimed;     /* per tensor of file */
    json_t *settings;  /* what PEFT was set to, or NULL: from the file's metadata */
    const char *own;   /* the prefix of this transformer's tensors in a file for two */
    const char *other; /* that of the other one's, or NULL: the model has one */
    bool both;
} Adapter;

struct Adapters {
    Adapter *adapter;
    int count;
    Backend *be; /* the products are made on the processor, in fp32; NULL until the first */
};

typedef struct {                           /* what one adapter has for one tensor; all NULL: nothing */
    const StoredTensor *down, *up, *alpha; /* A, B */
    const StoredTensor *bias;              /* what PEFT's lora_bias adds behind B: scaled as B A is */
    const StoredTensor *diff;              /* a whole difference */
    char module[NAMES_MOST];               /* as this file calls it, without prefix */
} Term;

/* ---- adapter_names.c ---- */

bool adapter_ends_in(const char *text, const char *end);
/* What the file has for this tensor of the model (diffusers' name, with its end); false: nothing. */
bool adapter_find_term(const Adapter *a, const char *tensor, Term *out);
/* What PEFT was set to for this transformer, whatever prefix it stands under; NULL: not said. */
const json_t *adapter_setting(const Adapter *a, const char *key);

#endif
