// How the page is built and served.
import optimizeLocales from '@react-aria/optimize-locales-plugin';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/**
 * "Nothing is uploaded", enforced by the browser: the built page may fetch from where it lies and
 * from the Hub's hosts, and from nowhere else.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self' 'unsafe-inline'", // sizes that scripts set on elements
  "img-src 'self' data:",
  "connect-src 'self' https://huggingface.co https://*.huggingface.co https://*.hf.co", // models by id; their files lie on its CDN
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const contentSecurity: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      attrs: { 'http-equiv': 'Content-Security-Policy', content: policy },
      injectTo: 'head-prepend',
    },
  ],
};

export default defineConfig({
  base: './', // so that the built page works from any folder of any server
  // the page speaks English
  plugins: [react(), tailwindcss(), optimizeLocales.vite({ locales: ['en-US'] }), contentSecurity],
  build: { outDir: 'dist/web', target: 'es2023', chunkSizeWarningLimit: 2000 },
  worker: { format: 'es' },
  optimizeDeps: { entries: ['index.html'] },
});
