/* parts.h - the inside of an Engine, for engine.c, denoise.c and decode.c. A part is created and checked at engine_open and
 * loaded at its first use. */
#ifndef REELWRIGHT_PARTS_H
#define REELWRIGHT_PARTS_H

#include "engine/engine.h"
#include "engine/text/text.h"
#include "engine/text/tokenizer.h"
#include "engine/wan/dit.h"
#include "engine/wan/vae.h"
#include "engine/wan/vision.h"

enum { MAX_EXPERTS = 2 };

struct Engine {
    ModelConfig *config;
    Backend *be;
    Tokenizer *tokenizer;
    TextEncoder *text;
    WeightSource *text_source; /* stays open: the embedding table is read from it */
    bool text_loaded;
    Dit *dit[MAX_EXPERTS];           /* the second is for low noise, or NULL */
    Adapters *adapters[MAX_EXPERTS]; /* of each, or NULL */
    char *adapters_text;             /* which they are, or NULL: none */
    Vae *decoder, *encoder;          /* encoder: NULL for a text-only model */
    Vision *vision;                  /* or NULL */
    Coll *processes;                 /* borrowed */
    Coll *group;                     /* the same ranks, for tensors of the back end; `processes` itself on a CPU */
    Split split;
    SplitRanks ranks;
    int64_t bytes_read;
};

bool engine_encodes(const ModelConfig *c); /* the model looks at pictures */
/* Loaded on all ranks of the group, or on none; the autoencoder's halves on the calling rank alone. */
Status engine_need_text(Engine *e);
Status engine_need_dit(Engine *e, int expert);
Status engine_need_decoder(Engine *e);
Status engine_need_encoder(Engine *e);
Status engine_need_vision(Engine *e);
/* Makes room: frees weights that can be loaded again, the text encoder's and the other expert's. */
void engine_drop_text(Engine *e);
void engine_drop_dit(Engine *e, int expert);
/* The first failure of the back end since the last call, forgotten there. It ends the group: the others wait for this rank. */
Status engine_take_failure(Engine *e);

#endif
