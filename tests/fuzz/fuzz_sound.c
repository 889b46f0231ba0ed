/* fuzz_sound.c - any bytes as music, or as what a voice engine wrote: WAV and whatever else libav takes. */
#include <stdlib.h>

#include "tests/fuzz/memory_file.h"
#include "worker/finish/sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    Sound s = {0};
    const int f = memory_file(data, size, path);
    if (f < 0) return 0;
    if (failed(sound_read(path, &s)) && s.count) abort();
    float *pcm = NULL;
    int64_t count;
    if (s.count && failed(sound_hear(&s, &pcm, &count))) abort();
    free(pcm);
    sound_clear(&s);
    close(f);
    return 0;
}
