// The graphics card as WebGL sees it: where WebGPU runs in software, it shows that there is one.

const SOFTWARE = /swiftshader|llvmpipe|software|basic render|softpipe/i;

/** Its name; null where WebGL runs in software too, or says nothing. */
export function graphicsCard(): string | null {
  if (typeof OffscreenCanvas === 'undefined') return null;
  const gl = new OffscreenCanvas(1, 1).getContext('webgl');
  const info = gl?.getExtension('WEBGL_debug_renderer_info');
  const name = info
    ? gl?.getParameter(info.UNMASKED_RENDERER_WEBGL)
    : gl?.getParameter(gl.RENDERER);
  gl?.getExtension('WEBGL_lose_context')?.loseContext();
  return cardOf(String(name ?? ''));
}

/**
 * The card in a renderer's name, such as "ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 (0x2504), D3D11)";
 * null for a software one, and for a name that browsers give all cards.
 */
export function cardOf(renderer: string): string | null {
  if (SOFTWARE.test(renderer) || /^(|webkit webgl|mozilla|webgl)$/i.test(renderer.trim()))
    return null;
  const parts = /^ANGLE \((.*)\)$/.exec(renderer)?.[1].split(', ');
  return (parts?.[1] ?? renderer).replace(/ (\(0x[\da-f]+\)|Direct3D.*|OpenGL.*|vs_\d.*)/gi, '');
}
