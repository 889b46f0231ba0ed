/* identify.h - what a file of weights is, from its names and shapes alone: which part of which model, in what precision, and whether
 * it is whole. Nothing but headers is read. */
#ifndef REELWRIGHT_IDENTIFY_H
#define REELWRIGHT_IDENTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

typedef struct {
    char part
        [24]; /* the folder of the model that it belongs into: "transformer", "vae", "text_encoder", "image_encoder", "audio_encoder"; "adapter"; or "" */
    char also[40]; /* the other folders that it belongs into, when it holds several parts: "vae, text_encoder"; or "" */
    char model[120]; /* "Wan2.1 T2V 14B, or one of the two of Wan2.2 T2V A14B", or its sizes */
    char types[120]; /* "F8_E4M3 94 %, F32 6 %", of the numbers */
    char kept[120];  /* what the engine makes of them */
    char fault[600]; /* "": whole; else what is missing or has another shape */
    bool narrow;     /* numbers of 8 bits and less */
    int tensors;
    int64_t parameters, bytes;
} Identified;

/* ERR_INPUT: the file is none of weights, or damaged; says what to do. */
Status identify_file(const char *path, Identified *out);

#endif
