#include "chain.h"

int chain_clips(int frames) { return (frames + CHAIN_DROPPED + CHAIN_CLIP_FRAMES - 1) / CHAIN_CLIP_FRAMES; }
