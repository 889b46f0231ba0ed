/* fuzz_voice.c - any bytes as what a voice engine answers: its words on stderr
 * or in its file of times, and its WAV. The first byte says which of them the
 * others are. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "tests/fuzz/memory_file.h"
#include "worker/finish/voice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A tenth of a second of silence, mono, 8000 Hz, 16 bits. */
static void write_wav(const char *path)
{
    static char wav[44 + 1600] = "RIFF\x64\x06\0\0WAVEfmt "
                                 "\x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0"
                                 "data\x40\x06\0";
    if (failed(file_replace(path, wav, sizeof wav))) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char folder[] = "/tmp/fuzz-voice-XXXXXX", *good, *said;
    if (!good) {
        if (!mkdtemp(folder)) abort();
        good = path_join(folder, "good.wav");
        said = path_join(folder, "said");
        write_wav(good);
    }
    if (size < 1) return 0;
    if (failed(file_replace(said, data + 1, size - 1))) abort();
    const bool sound = data[0] & 1, times = data[0] & 2;
    char *engine = text_format("cat >/dev/null; cat '%s'; %s '%s' %s", sound ? said : good, times ? "cp" : "cat", said,
                               times   ? "\"$REELWRIGHT_VOICE_TIMES\""
                               : sound ? ">/dev/null"
                                       : ">&2");
    json_t *spec = json_pack("{s:s, s:s, s:i, s:i}", "text", "Hello Zoe, once more.", "engine", engine, "retries", 0,
                             "consent", 3);
    Voice v;
    memset(&v, 0, sizeof v);
    Status status = voice_make(spec, NULL, &v);
    for (int i = 0; !failed(status) && i < v.word_count; i++)
        if (!v.word[i].text || v.word[i].from_s > v.word[i].to_s) abort();
    voice_clear(&v);
    json_decref(spec);
    free(engine);
    return 0;
}
