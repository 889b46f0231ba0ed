/* tokenizer_recorded.h - engine/text/tokenizer.h for programs that are built without utf8proc: prompts have the token ids that the
 * reference recorded. Text is no matter of the GPU; tests/unit and tests/parity prove the tokenizer. */
#ifndef REELWRIGHT_TESTS_GPU_TOKENIZER_RECORDED_H
#define REELWRIGHT_TESTS_GPU_TOKENIZER_RECORDED_H

/* The reference folder whose prompt and negative prompt are encoded from now on. */
void tokenizer_recorded_use(const char *folder);

#endif
