// Classifies the test images with the compiled network: classify FOLDER [BATCH]
// In: FOLDER/images.raw, classes.raw, and scores.raw, which the Swift process computed. Out: the accuracy; 0 if every score has
// the same bits as there.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digits.h"

/// A whole file, and its size.
static void *contents(const char *folder, const char *name, long *size) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) || (*size = ftell(file)) < 0) {
    fprintf(stderr, "%s can't be read\n", path);
    exit(1);
  }
  rewind(file);
  void *bytes = aligned_alloc(64, (size_t)(*size + 63) / 64 * 64 + 64);
  if (!bytes || fread(bytes, 1, (size_t)*size, file) != (size_t)*size) exit(1);
  fclose(file);
  return bytes;
}

int main(int count, char **words) {
  if (count < 2) return fprintf(stderr, "usage: classify FOLDER [BATCH]\n"), 1;
  long image_bytes, class_bytes, score_bytes;
  float *images = contents(words[1], "images.raw", &image_bytes);
  unsigned char *classes = contents(words[1], "classes.raw", &class_bytes);
  float *expected = contents(words[1], "scores.raw", &score_bytes);
  long total = image_bytes / (64 * (long)sizeof(float));
  long batch = count > 2 ? atol(words[2]) : total;
  if (batch < 1 || class_bytes != total || score_bytes != total * 10 * (long)sizeof(float)) return fprintf(stderr, "sizes differ\n"), 1;
  float *scores = aligned_alloc(64, (size_t)(score_bytes + 63) / 64 * 64);

  long right = 0;
  for (long start = 0; start < total; start += batch) {
    long size = total - start < batch ? total - start : batch;
    kiln_tensor input = {images + start * 64, KILN_F32, 4, (const int64_t[]){size, 1, 8, 8}};
    kiln_tensor output = {scores + start * 10, KILN_F32, 2, (const int64_t[]){size, 10}};
    if (digits_run(&input, 1, &output, 1) != KILN_OK) return fprintf(stderr, "%s\n", digits_last_error()), 1;
  }
  for (long image = 0; image < total; image++) {
    int best = 0;
    for (int digit = 1; digit < 10; digit++)
      if (scores[image * 10 + digit] > scores[image * 10 + best]) best = digit;
    right += best == classes[image];
  }
  int same = memcmp(scores, expected, (size_t)score_bytes) == 0;
  printf("C, batches of %ld: %ld of %ld right (%.2f %%); bits of the scores %s\n", batch, right, total, 100.0 * (double)right / (double)total,
         same ? "the same as in the Swift process" : "DIFFER from the Swift process");
  return same ? 0 : 1;
}
