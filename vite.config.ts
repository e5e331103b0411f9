// How the page is built and served.
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  base: './', // so that the built page works from any folder of any server
  plugins: [react(), tailwindcss()],
  build: { outDir: 'dist/web', target: 'es2023', chunkSizeWarningLimit: 2000 },
  worker: { format: 'es' },
});
