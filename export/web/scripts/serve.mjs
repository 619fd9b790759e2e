// A file server for trying the page: node scripts/serve.mjs [FOLDER [PORT]]
import { serve } from "./server.mjs";

const [folder = new URL("../dist", import.meta.url).pathname, port = "8000"] = process.argv.slice(2);
const server = await serve([folder], Number(port));
console.log(`http://localhost:${server.address().port}/ (end with Ctrl-C)`);
