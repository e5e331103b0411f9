// The methods there are: a line each.
export { lora } from './lora/shape.ts';
export { loraMoe } from './lora-moe/shape.ts';
