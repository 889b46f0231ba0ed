/* parts.h - the inside of an Engine, for the files beside this one. A part is created and checked at engine_open and
 * loaded at its first use. */
#ifndef REELWRIGHT_PARTS_H
#define REELWRIGHT_PARTS_H

#include "engine/engine.h"
#include "engine/speech/speech.h"
#include "engine/text/text.h"
#include "engine/text/tokenizer.h"
#include "engine/wan/dit.h"
#include "engine/wan/vae.h"
#include "engine/wan/vision.h"

enum { MAX_EXPERTS = 2 };

/* In the order in which a shot uses them. */
typedef enum { PART_TEXT, PART_VISION, PART_SPEECH, PART_ENCODER, PART_DIT, PART_DIT_2, PART_DECODER, PARTS } Part;

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
    Speech *speech;                  /* or NULL */
    Coll *processes;                 /* borrowed */
    Coll *group;                     /* the same ranks, for tensors of the back end; `processes` itself on a CPU */
    Split split;
    SplitRanks ranks;
    int64_t bytes_read;
    ShotSpec planned; /* sizes and guidance of the shot that `plan` is of */
    EnginePlan plan;
    bool has_plan;
};

bool engine_encodes(const ModelConfig *c); /* the model looks at pictures */
/* Loads it if it is not there, on all ranks of the group, or on none; the autoencoder's halves on the calling rank alone. Before that, and
 * before a part that is there is used for another shot, it makes room. */
Status engine_need(Engine *e, Part part);
/* For plans: the part's weights that stay in 8 bits as the file has them. NULL: the file has none. */
WeightSource *engine_narrow_source(const ModelConfig *c, const BackendOptions *o, Part part);
/* engine_plan_rank with adapters, which widen what they change. */
Status engine_plan_with(const ModelConfig *c, const BackendOptions *o, const ShotSpec *s, const Split *split,
                        Adapters *adapters, int64_t bound_bytes, EnginePlan *out);
/* The shot that the room is made for, from now on. */
void engine_expect(Engine *e, const ShotSpec *s);
bool engine_has_loaded(const Engine *e, Part part);
void engine_drop(Engine *e, Part part); /* frees its weights; engine_need brings them back */
Status engine_open_source(const ModelConfig *c, Part part, WeightSource **out);
void engine_close_source(Engine *e, WeightSource **source); /* and counts what was read of it */
/* Returns the back end's first failure since the last call, and clears it there. A failure ends the group, because the other ranks wait for
 * this one. */
Status engine_take_failure(Engine *e);

#endif
