#include "shot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/file.h"

/* ---- memory ---- */

static ShotFile copy_file(const ShotFile *f)
{
    ShotFile copy = *f;
    if (f->path) copy.path = text_copy(f->path);
    return copy;
}

ShotMedia *shot_media_copy(const ShotMedia *m)
{
    if (!m) return NULL;
    ShotMedia *copy = memory_get(1, sizeof *copy);
    *copy = *m;
    copy->image = copy_file(&m->image);
    copy->last_image = copy_file(&m->last_image);
    copy->control_video = copy_file(&m->control_video);
    copy->control_mask = copy_file(&m->control_mask);
    copy->audio = copy_file(&m->audio);
    if (m->speech) copy->speech = text_copy(m->speech);
    copy->scale = memory_get((size_t)m->scale_count, sizeof *copy->scale);
    for (int i = 0; i < m->scale_count; i++) copy->scale[i] = m->scale[i];
    copy->reference = memory_get((size_t)m->reference_count, sizeof *copy->reference);
    copy->lora = memory_get((size_t)m->lora_count, sizeof *copy->lora);
    for (int i = 0; i < m->reference_count; i++) copy->reference[i] = copy_file(&m->reference[i]);
    for (int i = 0; i < m->lora_count; i++) {
        copy->lora[i] = m->lora[i];
        copy->lora[i].file = copy_file(&m->lora[i].file);
    }
    return copy;
}

void shot_media_free(ShotMedia **media)
{
    ShotMedia *m = *media;
    if (!m) return;
    free(m->image.path);
    free(m->last_image.path);
    free(m->control_video.path);
    free(m->control_mask.path);
    free(m->audio.path);
    free(m->speech);
    for (int i = 0; i < m->reference_count; i++) free(m->reference[i].path);
    for (int i = 0; i < m->lora_count; i++) free(m->lora[i].file.path);
    free(m->scale);
    free(m->reference);
    free(m->lora);
    free(m);
    *media = NULL;
}

int shot_media_files(const ShotMedia *m, ShotMediaFile list[SHOT_MAX_FILES])
{
    ShotMedia *s = (ShotMedia *)(uintptr_t)
        m; /* the list's pointers are not const: who has a const m must not write through them */
    int count = 0;
    if (!m) return 0;
    const ShotMediaFile one[] = {{"image", &s->image, 0},
                                 {"last_image", &s->last_image, 0},
                                 {"control.video", &s->control_video, 0},
                                 {"control.mask", &s->control_mask, 0},
                                 {"audio", &s->audio, 0}};
    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
        if (one[i].file->path) list[count++] = one[i];
    for (int i = 0; i < m->reference_count && i < SHOT_MAX_REFERENCES; i++)
        list[count++] = (ShotMediaFile){"references", &s->reference[i], m->reference_count > 1 ? i + 1 : 0};
    for (int i = 0; i < m->lora_count && i < SHOT_MAX_LORAS; i++)
        list[count++] = (ShotMediaFile){"loras", &s->lora[i].file, m->lora_count > 1 ? i + 1 : 0};
    return count;
}

void shot_clear(ShotSpec *s)
{
    free(s->prompt);
    free(s->negative);
    free(s->trunk_prompt);
    free(s->reused_steps);
    shot_media_free(&s->media);
    memset(s, 0, sizeof *s);
}

void shot_copy(ShotSpec *to, const ShotSpec *from)
{
    *to = *from;
    to->prompt = text_copy(from->prompt);
    to->negative = text_copy(from->negative);
    to->media = shot_media_copy(from->media);
    if (from->trunk_prompt) to->trunk_prompt = text_copy(from->trunk_prompt);
    if (from->reused_steps) to->reused_steps = text_copy(from->reused_steps);
}

void shot_set_sigmas(ShotSpec *s, const char *word)
{
    snprintf(s->sigmas, sizeof s->sigmas, "%s", strcmp(word, "standard") == 0 ? "" : word);
}

/* ---- the key ---- */

int shot_rounds(const ShotSpec *s)
{
    return s->media && (s->media->speech || s->media->audio.path) ? chain_clips(s->frames) : 1;
}

ShotSpec shot_trunk(const ShotSpec *s)
{
    ShotSpec trunk = *s;
    trunk.prompt = s->trunk_prompt;
    trunk.trunk_prompt = NULL;
    trunk.trunk_steps = 0;
    return trunk;
}

char *shot_adapters(const ShotSpec *s)
{
    char *text = text_copy("");
    for (int i = 0; s->media && i < s->media->lora_count; i++) {
        const ShotLora *l = &s->media->lora[i];
        char *longer = text_format("%s%s%s %g %s", text, i ? "; " : "", l->file.sha256, l->scale, l->expert);
        free(text);
        text = longer;
    }
    return text;
}

Status shot_read_reused(const ShotSpec *s, bool *reused)
{
    long last = 0;
    memset(reused, 0, (size_t)s->steps * sizeof *reused);
    for (const char *at = s->reused_steps; at;) {
        char *end;
        const long step = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : 0;
        if (step <= last || step >= s->steps || (*end && *end != ','))
            return status_fail(ERR_INPUT,
                               "reused-steps = \"%.200s\", expected steps from 1 to %d that rise, such as 5,7,8",
                               s->reused_steps, s->steps - 1);
        reused[last = step] = true;
        at = *end ? end + 1 : NULL;
    }
    return status_ok();
}

bool shot_is_guided_at(const ShotSpec *s, double sigma)
{
    return s->guided_from <= 0 || (sigma <= s->guided_from && sigma >= s->guided_to);
}
