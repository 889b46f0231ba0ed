#include "render_loras.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/distilled.h"
#include "common/file.h"
#include "common/log.h"

/* FILE[:SCALE[:high|low]]. A file that is there under the whole text is that file: names may hold colons. */
static Status read_lora(const char *text, ShotLora *l)
{
    char *path = text_copy(text), *colon;
    *l = (ShotLora){.scale = 1, .expert = "both"};
    if (!file_exists(path) && (colon = strrchr(path, ':')) &&
        (strcmp(colon + 1, "high") == 0 || strcmp(colon + 1, "low") == 0)) {
        snprintf(l->expert, sizeof l->expert, "%s", colon + 1);
        *colon = 0;
    }
    if (!file_exists(path) && (colon = strrchr(path, ':'))) {
        char *end;
        l->scale = strtod(colon + 1, &end);
        if (end == colon + 1 || *end || !isfinite(l->scale)) {
            free(path);
            return status_fail(ERR_INPUT, "--lora %s: expected FILE, FILE:SCALE or FILE:SCALE:high (or low)", text);
        }
        *colon = 0;
    }
    l->file.path = path;
    return file_exists(path) ? status_ok() : status_fail(ERR_INPUT, "--lora %s: no such file", text);
}

static Status read_loras(const OptionTexts *loras, ShotSpec *s)
{
    if (loras->count == 0) return status_ok();
    if (loras->count > SHOT_MAX_LORAS)
        return status_fail(ERR_INPUT, "--lora: %d files, expected at most %d", loras->count, SHOT_MAX_LORAS);
    if (!s->media) s->media = memory_get(1, sizeof *s->media);
    s->media->lora = memory_get((size_t)loras->count, sizeof *s->media->lora);
    for (int i = 0; i < loras->count; i++) {
        s->media->lora_count++;
        TRY(read_lora(loras->text[i], &s->media->lora[i]));
    }
    return status_ok();
}

Status render_loras_read(const OptionTexts *loras, ShotSpec *s)
{
    bool found = false;
    TRY(read_loras(loras, s));
    for (int i = 0; s->media && i < s->media->lora_count && !found; i++) {
        Distilled d;
        TRY(distilled_of_adapter(s->media->lora[i].file.path, &d));
        distilled_apply(&d, s);
        found = d.steps > 0;
    }
    return status_ok();
}

void render_loras_warn(const ModelConfig *c, const ShotSpec *s)
{
    char advice[DISTILLED_ADVICE];
    if (distilled_advice(&c->distilled, s, advice)) log_line(LOG_WARNING, "%s: %s", c->folder, advice);
    for (int i = 0; s->media && i < s->media->lora_count; i++) {
        const char *path = s->media->lora[i].file.path;
        Distilled d;
        if (failed(distilled_of_adapter(path, &d))) continue;
        const bool named =
            !d.steps && distilled_by_name(path) && (s->steps > 2 * distilled_usual.steps || s->guidance > 1);
        if (distilled_advice(named ? &distilled_usual : &d, s, advice))
            log_line(LOG_WARNING,
                     "%s: %s%s. Add --steps %d --flow-shift %g --guidance 1 --scheduler %s --sigmas distilled", path,
                     named ? "step-distilled by its name; such weights are usually " : "", advice,
                     named ? distilled_usual.steps : d.steps, named ? distilled_usual.flow_shift : d.flow_shift,
                     named ? distilled_usual.scheduler : d.scheduler);
    }
}
