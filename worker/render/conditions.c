#include "conditions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/likeness.h"
#include "common/log.h"
#include "common/plural.h"
#include "common/shot_file.h"
#include "worker/cameo/likeness.h"
#include "worker/finish/sound.h"

void conditions_clear(MediaPixels *p)
{
    image_list_clear(&p->image);
    image_list_clear(&p->last_image);
    image_list_clear(&p->reference);
    image_list_clear(&p->video);
    image_list_clear(&p->mask);
    free(p->sound);
    *p = (MediaPixels){0};
}

const Conditions *conditions_of(const MediaPixels *p)
{
    return p->image.count || p->reference.count || p->video.count || p->all.control_scales || p->sound ? &p->all : NULL;
}

void conditions_hear(MediaPixels *p, float *sound, int64_t samples)
{
    free(p->sound);
    p->all.sound = p->sound = sound;
    p->all.sound_samples = samples;
}

/* ---- hashes ---- */

Status conditions_hash(ShotMedia *m)
{
    ShotMediaFile list[SHOT_MAX_FILES];
    int count = shot_media_files(m, list);
    for (int i = 0; i < count; i++)
        TRY(status_at(shot_file_hash(list[i].file->path, list[i].file->sha256), "%s", list[i].key));
    return status_ok();
}

Status conditions_verify(const ShotMedia *m)
{
    ShotMediaFile list[SHOT_MAX_FILES];
    char sha256[HASH_TEXT];
    int count = shot_media_files(m, list);
    for (int i = 0; i < count; i++) {
        const ShotFile *f = list[i].file;
        if (likeness_is(f->path)) continue; /* compared when it is read: it is decrypted once */
        if (failed(shot_file_hash(f->path, sha256)))
            return status_fail(ERR_RETRY, "%s: the file that was planned with cannot be read here", list[i].key);
        if (strcmp(sha256, f->sha256) != 0)
            return status_fail(
                ERR_CLIP,
                "%s: the file has changed since it was planned (SHA-256 %.12s, expected %.12s); put the old "
                "one back, or take the new one with `reelwright run CAMPAIGN --out DIR --update`",
                list[i].key, sha256, f->sha256);
    }
    return status_ok();
}

/* ---- pixels ---- */

/* What a reader says begins with the path. */
static Status told(Status s, const char *key, const char *path, bool private)
{
    if (!failed(s)) return s;
    size_t n = strlen(path);
    bool cut = private && strncmp(s.message, path, n) == 0;
    if (cut) return status_fail(s.err, "%s%s", key, s.message + n);
    return status_fail(s.err, "%s: %s", key, private ? "cannot be read" : s.message);
}

static Status read_one(const ShotFile *f, const char *key, bool private, ImageList *list)
{
    if (likeness_is(f->path)) return likeness_read(f->path, f->sha256, list);
    return f->path ? told(image_read(f->path, list), key, f->path, private) : status_ok();
}

static Status read_video(const ShotFile *f, const char *key, int frames, bool private, ImageList *list)
{
    return told(image_read_sequence(f->path, frames, list), key, f->path, private);
}

/* A control video may be shorter than the clip, its mask may not be shorter than it. */
static Status read_control(const ShotMedia *m, int frames, bool private, MediaPixels *p)
{
    if (!m->control_video.path) return status_ok();
    TRY(read_video(&m->control_video, "control video", frames + 1, private, &p->video));
    if (p->video.count > frames) {
        free((void *)(uintptr_t)p->video.picture[--p->video.count].rgb);
        log_line(LOG_WARNING, "control video: longer than the clip's %d frame%s; the rest is cut", frames,
                 plural_s(frames));
    }
    const int count = p->video.count;
    if (count < frames)
        log_line(LOG_WARNING, "control video: %d frame%s; the clip's last %d follow%s the prompt alone", count,
                 plural_s(count), frames - count, frames - count == 1 ? "s" : "");
    if (!m->control_mask.path) return status_ok();
    TRY(read_video(&m->control_mask, "control mask", count, private, &p->mask));
    if (p->mask.count == count) return status_ok();
    return status_fail(ERR_INPUT, "control mask: %d frames, expected %d as the control video has", p->mask.count,
                       count);
}

static Status take_scales(const ShotMedia *m, const ModelConfig *c, MediaPixels *p)
{
    if (m->scale_count == 0) return status_ok();
    if (m->scale_count != 1 && m->scale_count != c->dit.vace_count)
        return status_fail(ERR_INPUT, "control scale: %d numbers, expected 1 or %d", m->scale_count, c->dit.vace_count);
    for (int i = 0; i < m->scale_count; i++) p->scale[i] = (float)m->scale[i];
    p->all.control_scale = p->scale;
    p->all.control_scales = m->scale_count;
    return status_ok();
}

static Status read_sound(const ShotMedia *m, bool private, MediaPixels *p)
{
    Sound sound = {0};
    float *heard = NULL;
    int64_t samples = 0;
    if (!m->audio.path) return status_ok();
    Status status = told(sound_read(m->audio.path, &sound), "audio", m->audio.path, private);
    if (!failed(status)) status = sound_hear(&sound, &heard, &samples);
    sound_clear(&sound);
    conditions_hear(p, heard, samples);
    return status;
}

Status conditions_read(const ShotMedia *m, const ModelConfig *c, int frames, bool private, MediaPixels *p)
{
    *p = (MediaPixels){0};
    if (!m) return status_ok();
    TRY(read_one(&m->image, "image", private, &p->image));
    TRY(read_one(&m->last_image, "last image", private, &p->last_image));
    for (int i = 0; i < m->reference_count; i++) {
        char key[24] = "reference"; /* one of several: which */
        if (m->reference_count > 1) snprintf(key, sizeof key, "reference %d", i + 1);
        TRY(read_one(&m->reference[i], key, private, &p->reference));
    }
    TRY(read_control(m, frames, private, p));
    TRY(take_scales(m, c, p));
    TRY(read_sound(m, private, p));
    p->all.image = p->image.picture;
    p->all.last_image = p->last_image.picture;
    p->all.reference = p->reference.picture;
    p->all.references = p->reference.count;
    p->all.video = p->video.picture;
    p->all.video_frames = p->video.count;
    p->all.mask = p->mask.picture;
    return status_ok();
}
