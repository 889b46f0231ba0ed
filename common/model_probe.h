/* model_probe.h - what the coordinator asks the engine about a model before anything is rendered. The coordinator knows no engine:
 * main.c hands it this table, and where there is none (tests with simulated workers) nothing is asked. */
#ifndef REELWRIGHT_MODEL_PROBE_H
#define REELWRIGHT_MODEL_PROBE_H

#include "common/hash.h"

typedef struct {
    /* Reads the headers of all weights and the tokenizer, milliseconds: ERR_INPUT names the file that is missing, cut, of another
     * kind or of other shapes than config.json says. *self is to be closed. */
    Status (*open)(const char *model_folder, void **self);
    /* How many tokens a prompt has, at most a few more than the model reads; `read`: SHA-256 of those that it reads. */
    Status (*tokens)(void *self, const char *prompt, int *count, char read[HASH_TEXT]);
    /* A LoRA file against the model, by headers: ERR_INPUT names the file and the tensor that matches nothing or has another shape than
     * the model's. expert: "both", "high" or "low". */
    Status (*adapter)(void *self, const char *file, const char *expert);
    void (*close)(void **self);
    int most_tokens; /* that the model reads of a prompt */
} ModelProbe;

#endif
