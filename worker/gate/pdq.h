/* pdq.h - PDQ, the perceptual hash of a picture (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019; its
 * reference is in ThreatExchange, BSD): 256 bits that recompression and scaling leave nearly as they are. Two pictures are near where at most
 * PDQ_NEAR bits differ; a picture of less than PDQ_LEAST_QUALITY has too little in it to be told from another.
 *
 * The same bits as pdqhash 0.2 (PyPI) on the same luma. */
#ifndef REELWRIGHT_PDQ_H
#define REELWRIGHT_PDQ_H

#include "common/looks.h"

/* luma[height][width], 0 to 255, each side at least 16; it is written over. Returns the quality, 0 to 100. */
int pdq_hash(float *luma, int width, int height, Pdq *out);

#endif
