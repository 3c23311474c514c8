/* What this machine can do at best: a copy, multiply-adds, and S0 = sum exp(b x) and S1 = sum x exp(b x) of every row, for
 * every b, in double precision, with all the compiler allows: a row stays in the cache, the
 * exponential is inlined and vectorised, rows are shared out among the cores.
 *
 * The benchmarks compile this file with the C compiler found (see machine.py) and leave the limit
 * out where there is none.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* exp(y) for -708 <= y <= 0: exp(n log 2) exp(r) with |r| <= log(2)/2, the second factor by its
 * Taylor polynomial of degree 13 (remainder below 5e-18). */
static inline double exponential(double y)
{
    const double n = rint(y * 1.4426950408889634);
    const double r = (y - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
    const double r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    const double a = (1.0 + r) + (0.5 + r / 6.0) * r2;
    const double b = (1.0 / 24.0 + r / 120.0) + (1.0 / 720.0 + r / 5040.0) * r2;
    const double c = (1.0 / 40320.0 + r / 362880.0) + (1.0 / 3628800.0 + r / 39916800.0) * r2;
    const double d = 1.0 / 479001600.0 + r / 6227020800.0;
    const int64_t bits = ((int64_t)n + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return ((a + b * r4) + (c + d * r4) * r8) * scale;
}

/* logits: num_rows x num_outcomes, finite. S0, S1: num_rows x num_b. Returns 0, or 1 without memory. */
int tempered_sums(const float *logits, int64_t num_rows, int64_t num_outcomes, const double *b,
                  int64_t num_b, double *S0, double *S1)
{
    int failed = 0;
#pragma omp parallel reduction(| : failed)
    {
        double *x = malloc(num_outcomes * sizeof *x);
        failed |= x == NULL;
#pragma omp for schedule(static)
        for (int64_t row = 0; row < num_rows; row++) {
            if (x == NULL)
                continue;
            const float *theta = logits + row * num_outcomes;
            float top = theta[0];
            for (int64_t i = 1; i < num_outcomes; i++)
                top = theta[i] > top ? theta[i] : top;
            for (int64_t i = 0; i < num_outcomes; i++)
                x[i] = (double)theta[i] - top;
            for (int64_t j = 0; j < num_b; j++) {
                double s0 = 0.0, s1 = 0.0;
                for (int64_t i = 0; i < num_outcomes; i++) {
                    const double y = b[j] * x[i];
                    const double weight = exponential(y < -708.0 ? -708.0 : y);
                    s0 += weight;
                    s1 += x[i] * weight;
                }
                S0[row * num_b + j] = s0;
                S1[row * num_b + j] = s1;
            }
        }
        free(x);
    }
    return failed;
}

/* Copies n numbers, on all cores. */
void copy(double *restrict target, const double *restrict source, int64_t n)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        target[i] = source[i];
}

enum { CHAINS = 96 };

/* Takes repeats x CHAINS multiply-adds on every core, in registers; returns how many in all. */
double multiply_adds(int64_t repeats)
{
    double number = 0.0, kept = 0.0;
#pragma omp parallel reduction(+ : number, kept)
    {
        double x[CHAINS];
        for (int i = 0; i < CHAINS; i++)
            x[i] = i;
        for (int64_t r = 0; r < repeats; r++)
            for (int i = 0; i < CHAINS; i++)
                x[i] = x[i] * 0.999999 + 1e-6;
        for (int i = 0; i < CHAINS; i++)
            kept += x[i];
        number += (double)repeats * CHAINS;
    }
    return kept > 0.0 ? number : 0.0;
}
