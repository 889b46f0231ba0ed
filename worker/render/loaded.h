/* loaded.h - an engine, and which model it holds. Loading a model costs more than a shot: it stays until a lease wants another. */
#ifndef REELWRIGHT_LOADED_H
#define REELWRIGHT_LOADED_H

#include "common/clip.h"
#include "engine/engine.h"

typedef struct {    /* owns all of it */
    Engine *engine; /* NULL: none */
    char *folder;   /* of its model */
    char hash[HASH_TEXT];
} Loaded;

/* The engine is that of the lease's model. */
bool loaded_holds(const Loaded *o, const Lease *l);
/* o->engine has just been opened for this lease. */
void loaded_note(Loaded *o, const Lease *l);
void loaded_close(Loaded *o);

#endif
