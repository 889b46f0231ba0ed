#include "finish_say.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/finish/voice.h"

static void put(uint8_t *to, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * i);
}

/* 16 bits, one channel: for listening to. */
static Status write_wav(const Sound *s, const char *path)
{
    size_t bytes = (size_t)s->count * 2;
    uint8_t *file = memory_get(bytes + 44, 1);
    memcpy(file, "RIFF....WAVEfmt ", 16);
    put(file + 4, (uint32_t)bytes + 36, 4), put(file + 16, 16, 4), put(file + 20, 1, 2), put(file + 22, 1, 2);
    put(file + 24, SOUND_RATE, 4), put(file + 28, SOUND_RATE * 2, 4), put(file + 32, 2, 2), put(file + 34, 16, 2);
    memcpy(file + 36, "data", 4);
    put(file + 40, (uint32_t)bytes, 4);
    for (int64_t i = 0; i < s->count; i++) {
        double v = fmax(-1, fmin(1, s->sample[2 * i]));
        put(file + 44 + 2 * i, (uint32_t)(int32_t)lrint(v * 32767), 2);
    }
    Status status = file_replace(path, file, bytes + 44);
    free(file);
    return status;
}

Status finish_say(const char *spec, const char *path, double *seconds)
{
    json_t *o = json_loads(spec, 0, NULL);
    Voice v;
    Status status = voice_make(o, NULL, &v);
    *seconds = 0;
    if (!failed(status)) {
        *seconds = sound_seconds(&v.sound);
        status = write_wav(&v.sound, path);
    }
    voice_clear(&v);
    json_decref(o);
    return status;
}
