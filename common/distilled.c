#include "common/distilled.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

enum { MAX_HEADER_BYTES = 100 << 20 /* of a safetensors file: the format's own limit */ };

const Distilled distilled_usual = {.steps = 4, .flow_shift = 5, .scheduler = "euler"};

void distilled_read(Fields *f, Distilled *out)
{
    json_t *object = fields_get(f, "distilled");
    *out = (Distilled){0};
    if (!object) return;
    if (!json_is_object(object)) {
        fields_fault(f, "distilled",
                     " is no object, expected {\"steps\": 4, \"flow_shift\": 5, \"scheduler\": \"euler\"}");
        return;
    }
    Fields own = {.path = text_format("%s: distilled", f->path), .root = json_incref(object), .status = status_ok()};
    if (!fields_get(&own, "steps")) fields_fault(&own, "steps", " is missing");
    out->steps = fields_int(&own, "steps", 0, 1, 1000);
    out->flow_shift = fields_real(&own, "flow_shift", distilled_usual.flow_shift, 1e-3, 1e3);
    const char *scheduler = fields_text(&own, "scheduler", distilled_usual.scheduler);
    if (strcmp(scheduler, "euler") != 0 && strcmp(scheduler, "lcm") != 0)
        fields_fault(&own, "scheduler", " = \"%.40s\", expected euler or lcm", scheduler);
    snprintf(out->scheduler, sizeof out->scheduler, "%s", scheduler);
    const Status status = fields_close(&own);
    if (failed(status) && !failed(f->status)) f->status = status;
}

/* 8 bytes of length, little-endian, then so much JSON; NULL: it is no such file. */
static json_t *read_header(FILE *f)
{
    uint8_t b[8];
    uint64_t length = 0;
    if (fread(b, 1, sizeof b, f) != sizeof b) return NULL;
    for (int i = 7; i >= 0; i--) length = length << 8 | b[i];
    if (length > MAX_HEADER_BYTES) return NULL;
    char *text = memory_large((size_t)length + 1, 1);
    json_t *header = NULL;
    if (text && fread(text, 1, (size_t)length, f) == length) header = json_loadb(text, (size_t)length, 0, NULL);
    free(text);
    return header;
}

Status distilled_of_adapter(const char *path, Distilled *out)
{
    FILE *file;
    *out = (Distilled){0};
    if (failed(file_open_stream(path, &file))) return status_ok();
    json_t *header = read_header(file);
    fclose(file);
    const char *said = json_string_value(json_object_get(json_object_get(header, "__metadata__"), "reelwright"));
    Fields f = {.path = text_format("%s: metadata \"reelwright\"", path), .status = status_ok()};
    if (said) {
        f.root = json_loads(said, 0, NULL);
        if (!json_is_object(f.root)) f.status = status_fail(ERR_INPUT, "%s: expected a JSON object", f.path);
        if (!failed(f.status)) distilled_read(&f, out);
    }
    json_decref(header);
    return fields_close(&f);
}

void distilled_apply(const Distilled *d, ShotSpec *s)
{
    if (d->steps == 0) return;
    s->steps = d->steps;
    s->flow_shift = d->flow_shift;
    s->guidance = 1;
    s->guidance_2 = 0;
    snprintf(s->scheduler, sizeof s->scheduler, "%s", d->scheduler);
    snprintf(s->sigmas, sizeof s->sigmas, "distilled");
}

bool distilled_advice(const Distilled *d, const ShotSpec *s, char text[DISTILLED_ADVICE])
{
    if (d->steps == 0) return false;
    if (s->steps == d->steps && s->flow_shift == d->flow_shift && s->guidance <= 1 && s->guidance_2 <= 1 &&
        strcmp(s->scheduler, d->scheduler) == 0 && strcmp(s->sigmas, "distilled") == 0)
        return false;
    snprintf(
        text, DISTILLED_ADVICE,
        "made for %d steps, flow shift %g, guidance 1, scheduler %s and distilled sigmas; this shot has %d steps, flow "
        "shift %g, guidance %g, scheduler %s and %s sigmas",
        d->steps, d->flow_shift, d->scheduler, s->steps, s->flow_shift, s->guidance, s->scheduler,
        *s->sigmas ? s->sigmas : "standard");
    return true;
}

bool distilled_by_name(const char *path)
{
    static const char *const word[] = {"lightx2v", "lightning", "causvid", "distill", "selfforcing", "4step", "8step"};
    char plain[256];
    size_t n = 0;
    for (const char *c = path_name(path); *c && n + 1 < sizeof plain; c++) /* "Self_Forcing", "4-steps" */
        if (isalnum((unsigned char)*c)) plain[n++] = (char)tolower((unsigned char)*c);
    plain[n] = 0;
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (strstr(plain, word[i])) return true;
    return false;
}
