#include "loaded.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

bool loaded_holds(const Loaded *o, const Lease *l)
{
    return o->engine && strcmp(o->folder, l->model_folder) == 0 && strcmp(o->hash, l->model_hash) == 0;
}

void loaded_note(Loaded *o, const Lease *l)
{
    o->folder = text_copy(l->model_folder);
    memcpy(o->hash, l->model_hash, sizeof o->hash);
}

void loaded_close(Loaded *o)
{
    engine_close(&o->engine);
    free(o->folder);
    o->folder = NULL;
}
