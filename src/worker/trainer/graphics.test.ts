// Which card WebGL's name of a renderer stands for.
import { expect, test } from 'vitest';
import { cardOf } from './graphics.ts';

test.each([
  [
    'ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 (0x00002504) Direct3D11 vs_5_0 ps_5_0, D3D11)',
    'NVIDIA GeForce RTX 3060',
  ],
  [
    'ANGLE (Apple, ANGLE Metal Renderer: Apple M2, Unspecified Version)',
    'ANGLE Metal Renderer: Apple M2',
  ],
  ['ANGLE (AMD, AMD Radeon RX 6600 (RADV NAVI23), OpenGL 4.6)', 'AMD Radeon RX 6600 (RADV NAVI23)'],
  ['Mesa Intel(R) UHD Graphics 620 (KBL GT2)', 'Mesa Intel(R) UHD Graphics 620 (KBL GT2)'],
  [
    'ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)',
    null,
  ],
  ['ANGLE (Mesa, llvmpipe (LLVM 15.0.6, 256 bits), OpenGL 4.5)', null],
  ['Microsoft Basic Render Driver', null],
  ['WebKit WebGL', null],
  ['', null],
])('%s', (renderer, card) => {
  expect(cardOf(renderer)).toBe(card);
});
