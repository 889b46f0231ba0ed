#include "shot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

void shot_clear(ShotSpec *s)
{
    free(s->prompt);
    free(s->negative);
    memset(s, 0, sizeof *s);
}

void shot_copy(ShotSpec *to, const ShotSpec *from)
{
    *to = *from;
    to->prompt = text_copy(from->prompt);
    to->negative = text_copy(from->negative);
}

void shot_key(const ShotSpec *s, const char *model_hash, char key[HASH_TEXT])
{
    Hash *h = hash_begin();
    hash_add_field(h, "model", "%s", model_hash);
    hash_add_field(h, "prompt", "%s", s->prompt);
    hash_add_field(h, "negative", "%s", s->negative);
    hash_add_field(h, "seed", "%" PRIu64, s->seed);
    hash_add_field(h, "size", "%dx%d", s->width, s->height);
    hash_add_field(h, "frames", "%d", s->frames);
    hash_add_field(h, "steps", "%d", s->steps);
    hash_add_field(h, "guidance", "%.17g", s->guidance);
    hash_add_field(h, "guidance_2", "%.17g", s->guidance_2);
    hash_add_field(h, "flow_shift", "%.17g", s->flow_shift);
    hash_add_field(h, "scheduler", "%s", s->scheduler);
    hash_end(h, key);
}
