import { counter } from "./counter";

const button = document.querySelector<HTMLButtonElement>("#counter")!;
const next = counter();

const show = () => {
  button.textContent = `Count is ${next()}`;
};

button.addEventListener("click", show);
show();
