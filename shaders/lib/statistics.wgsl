// Places of the figures in a statistics buffer; src/ops/loss.ts reads them from here.
const CROSS_ENTROPY = 0u;   // Σ over the loss-carrying tokens
const TOKENS = 1u;          // that carry loss
const BALANCE = 2u;         // Σ over sites of L_bal
const GRAD_NORM = 3u;
const CLIP = 4u;            // factor of the gradient
const SENTINEL = 5u;        // the step's number
const SIZE = 16u;           // of the buffer
