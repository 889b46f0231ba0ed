#include "clips.h"

#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/file.h"
#include "engine/decode_parts.h"
#include "engine/latents.h"
#include "engine/parts.h"

void clips_clear(Clips *c)
{
    free(c->reference);
    free(c->motion);
    free(c->done);
    speech_features_clear(&c->features);
    *c = (Clips){0};
}

const float *clips_heard(const Clips *c)
{
    return c->clip < c->features.clips ? speech_clip(&c->features, c->clip) : NULL;
}

/* ---- what is done ------------------------------------------------------------------------------------------------------------ */

/* Frames of `from`, whose channels have `count` of them, to place `at` of channels that have `room`. */
static void put_frames(const Clips *c, const float *from, int64_t count, float *to, int64_t room, int64_t at)
{
    const int64_t frame = c->dim[2] * c->dim[3];
    for (int64_t z = 0; z < c->dim[0]; z++)
        memcpy(to + (z * room + at) * frame, from + z * count * frame, (size_t)(count * frame) * sizeof *to);
}

static Status append(Clips *c, const float *latents)
{
    const int64_t before = chain_latents(c->clip), all = chain_latents(c->clip + 1);
    const int64_t led = all - before - CHAIN_CLIP_LATENTS;
    float *more;
    TRY_MEMORY(more, c->dim[0] * all * c->dim[2] * c->dim[3]);
    if (before) put_frames(c, c->done, before, more, all, 0);
    put_frames(c, c->clip ? c->motion : c->reference, led, more, all, before);
    put_frames(c, latents, CHAIN_CLIP_LATENTS, more, all, before + led);
    free(c->done);
    c->done = more;
    return status_ok();
}

/* ---- what the next clip sees before it ----------------------------------------------------------------------------------------- */

/* The last frames so far, in a ring. In 16 bits, as frames are that were decoded in tiles: how a clip goes on must not depend on that. */
typedef struct {
    int64_t values; /* of a frame */
    int64_t count;  /* frames so far */
    uint16_t *ring;
} Last;

static Status remember(void *self, const float *frames, int n, int height, int width)
{
    Last *l = self;
    l->values = (int64_t)height * width * 3;
    if (!l->ring) TRY_MEMORY(l->ring, CHAIN_MOTION_FRAMES * l->values);
    for (int i = 0; i < n; i++, l->count++) {
        uint16_t *to = l->ring + l->count % CHAIN_MOTION_FRAMES * l->values;
        for (int64_t k = 0; k < l->values; k++) to[k] = (uint16_t)(*frames++ * 65535.0f + 0.5f);
    }
    return status_ok();
}

static void fill_last(const void *self, int frame, float *out)
{
    const Last *l = self;
    const uint16_t *from = l->ring + (l->count + frame) % CHAIN_MOTION_FRAMES * l->values;
    for (int64_t k = 0; k < l->values; k++) out[k] = (float)from[k] / 65535.0f * 2.0f - 1.0f;
}

static Status see_last(Clips *c, Engine *e)
{
    const int scale = e->config->vae.scale_space;
    const int64_t dim[4] = {c->dim[0], chain_latents(c->clip + 1), c->dim[2], c->dim[3]};
    Last last = {0};
    Status status = status_ok();
    if (e->group->rank == 0)
        status = decode_part(e, c->done, dim, &(DecodePart){.i = c->clip, .most = CHAIN_CLIP_FRAMES},
                             (FrameSink){remember, &last});
    status = coll_agree(e->group, status);
    const Footage v = {fill_last, &last, CHAIN_MOTION_FRAMES, (int)c->dim[3] * scale, (int)c->dim[2] * scale};
    float *motion = NULL;
    if (!failed(status)) status = latents_encode(e, &v, NULL, 0, &motion);
    free(last.ring);
    TRY(status);
    free(c->motion);
    c->motion = motion;
    return status;
}

Status clips_finish(Clips *c, Engine *e, const float *latents)
{
    TRY(coll_agree(e->group, append(c, latents)));
    if (c->clip + 1 < c->count) TRY(see_last(c, e));
    c->clip++;
    return status_ok();
}

Status clips_result(const Clips *c, float *latents)
{
    if (c->clip < c->count) return status_fail(ERR_FATAL, "%d of %d clips are made", c->clip, c->count);
    memcpy(latents, c->done, (size_t)(c->dim[0] * chain_latents(c->count) * c->dim[2] * c->dim[3]) * sizeof *latents);
    return status_ok();
}

/* ---- state --------------------------------------------------------------------------------------------------------------------- */

/* What there is of it after so many clips. */
static int wanted(const Clips *c, int made, StateTensor out[STATE_MOST_TENSORS])
{
    if (made == 0) return 0;
    out[0] = (StateTensor){"done", {c->dim[0], chain_latents(made), c->dim[2], c->dim[3]}, c->done};
    if (made == c->count) return 1;
    out[1] = (StateTensor){"motion", {c->dim[0], CHAIN_MOTION_LATENTS, c->dim[2], c->dim[3]}, c->motion};
    return 2;
}

int clips_state(const Clips *c, StateTensor out[STATE_MOST_TENSORS]) { return wanted(c, c->clip, out); }

static Status copy_tensor(const StateTensor *want, const StateTensor *tensor, int count, float **to)
{
    const int64_t numbers = want->dim[0] * want->dim[1] * want->dim[2] * want->dim[3];
    for (int i = 0; i < count; i++) {
        if (strcmp(tensor[i].name, want->name) != 0) continue;
        if (memcmp(tensor[i].dim, want->dim, sizeof want->dim) != 0)
            return status_fail(ERR_INPUT, "tensor %s is of another shape than the clips that were made", want->name);
        free(*to);
        *to = NULL;
        TRY_MEMORY(*to, numbers);
        memcpy(*to, tensor[i].data, (size_t)numbers * sizeof **to);
        return status_ok();
    }
    return status_fail(ERR_INPUT, "tensor %s of the clips that were made is missing", want->name);
}

Status clips_restore(Clips *c, int made, const StateTensor *tensor, int count)
{
    StateTensor want[STATE_MOST_TENSORS];
    const int n = wanted(c, made, want);
    if (count != n) return status_fail(ERR_INPUT, "%d tensors after %d clips, expected %d", count, made, n);
    for (int i = 0; i < n; i++) TRY(copy_tensor(&want[i], tensor, count, i ? &c->motion : &c->done));
    c->clip = made;
    return status_ok();
}
